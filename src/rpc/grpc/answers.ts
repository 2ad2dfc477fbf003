import type { ServerHttp2Stream } from 'node:http2';
import type { statusOf } from './status.ts';

/** What both ways of serving a call can read. */
export const ACCEPT_ENCODING = 'grpc-accept-encoding';
export const ENCODINGS = 'identity,deflate,gzip';

/** The headers of an answer that grpc-js does not write. */
export const ANSWER = {
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
