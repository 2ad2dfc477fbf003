import type { OutgoingHttpHeaders } from 'node:http';
import { denialAnswer } from '../mesh/denial-answer.ts';
import type { Denial } from '../mesh/judge-request.ts';
import type { Passage } from '../mesh/passage.ts';
import { Failure } from '../platform/failure.ts';
import { isRefusal } from '../rpc/interceptors/authentication.ts';

/** What a proxy is answered, without what each answer has of its own. */
export type Answer = { status: number; fields: Readonly<OutgoingHttpHeaders>; body: string };

/** Envoy removes these from the request after it has set others; the rest of the proxies don't read it. */
const REMOVED = 'x-envoy-auth-headers-to-remove';

/** The answer for a request that may pass. */
export function allowed({ set, removed }: Passage): Answer {
  return { status: 200, fields: { ...set, [REMOVED]: removed.join(',') }, body: '' };
}

/** The answer for a request that is refused. */
export function denied(denial: Denial): Answer {
  const { status, headers, body } = denialAnswer(denial);
  return { status, fields: { ...headers }, body: `${body}\n` };
}

/**
 * Our failure is never taken for a bad credential (M02): 503. A caller who may not ask gets 403, and one
 * over its limit 429, since `x-countersign-caller` may be the client's.
 */
export function failure(error: unknown): Answer {
  const type = { 'content-type': 'text/plain; charset=us-ascii' };
  if (isRefusal(error)) {
    return {
      status: 403,
      fields: type,
      body: 'this proxy may not ask whether requests may pass\n',
    };
  }
  const isLimited = error instanceof Failure && error.reason === 'RATE_LIMITED';
  return {
    status: isLimited ? 429 : 503,
    fields: { ...type, 'retry-after': '1' },
    body: isLimited
      ? 'this proxy asks too often; wait and try again\n'
      : 'whether the request may pass cannot be told right now; try again in a moment\n',
  };
}
