import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { Failure } from '../platform/failure.ts';

/** The message that some bytes are, or the refusal of bytes that are none. */
export function parseRequest(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw unreadableRequest(error);
  }
}

/** What was sent is not repeated: it may be a secret. */
export function unreadableRequest(cause?: unknown): Failure {
  const text = 'the request can not be read as its message';
  return new Failure('invalid', 'INVALID_REQUEST', text, {}, cause);
}

export function requestTooLarge(): Failure {
  return new Failure('exhausted', 'REQUEST_TOO_LARGE', 'the request is larger than is read');
}
