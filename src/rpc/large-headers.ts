import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import type { Call } from './call.ts';
import { callSystem } from './call-durations.ts';
import { toConnectError } from './errors.ts';
import { headersTooLarge } from './failures.ts';
import { headerText } from './headers.ts';
import { logCall } from './interceptors/logging.ts';
import type { Limits } from './limits.ts';
import type { Serving } from './serving.ts';

/** What each header field counts in addition to its name and value: RFC 9113, section 6.5.2. */
const FIELD_BYTES = 32;

/** Answers a stream of HTTP/2 with an error, in the protocol of its listener. */
type AnswerError = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  error: ConnectError,
  call: Call,
) => void;

/** Answers a stream whose headers are over the limit. */
export type RefuseHeaders = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** The size of the headers of an HTTP/2 request, as the limit counts that is announced. */
export function headerBytes(rawHeaders: readonly string[]): number {
  let bytes = (rawHeaders.length / 2) * FIELD_BYTES;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

/** Whether headers are larger, or more, than a call may have. */
export function areTooLarge(
  rawHeaders: readonly string[],
  bytes: number,
  { maxHeaderBytes, maxHeaders }: Limits,
): boolean {
  return bytes > maxHeaderBytes || rawHeaders.length / 2 > maxHeaders;
}

/** Refuses headers over the limit by an answer that names it: a call as others, with its log line. */
export function refuseHeaders(
  { calls, log, limits }: Pick<Serving, 'calls' | 'log' | 'limits'>,
  answer: AnswerError,
): RefuseHeaders {
  return (stream, headers) => {
    const peer = stream.session?.socket.remoteAddress;
    const system = callSystem(headers['content-type']);
    const call = calls.begin((name) => headerText(headers[name]), peer, system);
    const error = toConnectError(headersTooLarge(limits), call.requestId);
    const [path = ''] = (headers[':path'] ?? '').split('?', 1);
    logCall(log, call, path.slice(1), error);
    answer(stream, headers, error, call);
  };
}
