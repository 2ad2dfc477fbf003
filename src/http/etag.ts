import { createHash } from 'node:crypto';
import type { NodeRequest } from '../rpc/connect/node-request.ts';
import type { Answer } from './sidecar.ts';

/** The tag of a body, RFC 9110 section 8.8.3. */
export function etagOf(body: string | Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url')}"`;
}

/** The answer with its tag, or 304 if the caller has it. `headers` are those that caches need. */
export function unlessKnown(
  req: NodeRequest,
  answer: Answer,
  headers: { readonly etag: string; readonly 'cache-control': string },
): Answer {
  const isKnown = isNamed(req.headers['if-none-match'], headers.etag);
  return isKnown ? { ...answer, status: 304, body: '', headers } : { ...answer, headers };
}

/** Whether an `If-None-Match` header names the answer, RFC 9110 section 13.1.2. */
function isNamed(header: string | undefined, etag: string): boolean {
  const known = (header ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}
