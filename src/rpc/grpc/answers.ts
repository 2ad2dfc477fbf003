import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { framed } from './framing.ts';
import type { statusOf } from './status.ts';

/** What both ways of serving a call can read. */
export const ACCEPT_ENCODING = 'grpc-accept-encoding';
export const ENCODINGS = 'identity,deflate,gzip';

/** The headers of an answer that grpc-js does not write. */
const ANSWER = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  [ACCEPT_ENCODING]: ENCODINGS,
};

/** Answers with a status alone, which the protocol calls "Trailers-Only". */
export function answerStatus(
  stream: ServerHttp2Stream,
  { code, details, metadata }: ReturnType<typeof statusOf>,
): void {
  stream.respond(
    {
      ...metadata.toHttp2Headers(),
      ...ANSWER,
      'grpc-status': code,
      'grpc-message': encodeURI(details),
    },
    { endStream: true },
  );
}

const OK = { 'grpc-status': '0' };

/** Answers a stream with a message and success. `header` has the id of the request. */
export function answerMessage(
  stream: ServerHttp2Stream,
  message: Buffer,
  header: OutgoingHttpHeaders,
  trailer?: OutgoingHttpHeaders,
): void {
  stream.respond({ ...ANSWER, ...header }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailer ? { ...trailer, ...OK } : OK));
  stream.end(framed(message));
}
