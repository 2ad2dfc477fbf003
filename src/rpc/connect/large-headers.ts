import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import type { Call } from '../call.ts';
import { errorAnswer } from './errors.ts';

/** Answers a stream of HTTP/2 whose headers are over the limit, whether it is a call or not. */
export async function answerLargeHeaders(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  error: ConnectError,
  { requestId }: Call,
): Promise<void> {
  const [type = ''] = (headers['content-type'] ?? '').split(';', 1);
  const { status, header, body } = errorAnswer(type, error);
  const bytes = await Array.fromAsync(body ?? []);
  if (stream.closed || stream.destroyed) return;
  stream.respond({
    ...Object.fromEntries(new Headers(header)),
    // A stream of messages brings its error at its end, after the headers of a success.
    ':status': status === 200 ? 200 : constants.HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE,
    'x-request-id': requestId,
  });
  stream.end(Buffer.concat(bytes));
}
