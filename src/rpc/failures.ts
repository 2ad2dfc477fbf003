import { Failure } from '../platform/failure.ts';
import type { Limits } from './limits.ts';

export function unknownMethod(): Failure {
  return new Failure('unimplemented', 'METHOD_UNKNOWN', 'there is no such method');
}

export function unknownCompression(): Failure {
  const text = 'the request is compressed in a way that is not supported; use gzip, or none';
  return new Failure('unimplemented', 'COMPRESSION_UNKNOWN', text);
}

/** Does not repeat what was sent: it may be a secret. */
export function unreadableRequest(cause?: unknown): Failure {
  const text = 'the request cannot be read as a message of this method';
  return new Failure('invalid', 'INVALID_REQUEST', text, {}, cause);
}

export function requestTooLarge(): Failure {
  return new Failure('exhausted', 'REQUEST_TOO_LARGE', 'the request is too large');
}

export function headersTooLarge({ maxHeaderBytes, maxHeaders }: Limits): Failure {
  const text = `the headers of the request are larger than ${maxHeaderBytes} bytes, or more than ${maxHeaders}; send less metadata`;
  return new Failure('exhausted', 'REQUEST_TOO_LARGE', text);
}

export function callerGone(cause?: unknown): Failure {
  return new Failure('cancelled', 'CANCELLED', 'the caller went away', {}, cause);
}

export function deadlineExceeded(): Failure {
  return new Failure('deadline', 'DEADLINE_EXCEEDED', 'the call took longer than its deadline');
}

export function shuttingDown(): Failure {
  const text = 'this replica is stopping; call again';
  return new Failure('unavailable', 'SHUTTING_DOWN', text, { retryAfterMs: 0 });
}
