import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { NodeResponse } from '../connect/node-request.ts';

/** A whole answer. Text is ASCII, or written as UTF-8. */
export type WholeAnswer = {
  readonly status: number;
  /** Header fields in lower case, in addition to the length. */
  readonly fields: OutgoingHttpHeaders;
  readonly body: string | Buffer;
};

/** Whether nobody can get an answer any more. */
export function isClosed(res: NodeResponse): boolean {
  return 'stream' in res ? res.stream.destroyed : res.destroyed;
}

/**
 * Writes an answer at once, for any endpoint: Node then sends its head and its body together. Nothing is
 * written if the caller has gone.
 */
export function answerOnce(res: NodeResponse, { status, fields, body }: WholeAnswer): void {
  if (res.headersSent || isClosed(res)) return;
  const length = Buffer.byteLength(body);
  fields['content-length'] = length;
  // The types of the two kinds of response differ in their overloads; the code does not.
  const answer = res as ServerResponse;
  answer.writeHead(status, fields);
  // One byte for each character: it need not be encoded.
  if (length === body.length) answer.end(body, 'latin1');
  else answer.end(body);
}
