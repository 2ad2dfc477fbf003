import type { OutgoingHttpHeaders } from 'node:http';
import type { LRUCache } from 'lru-cache';
import { denialAnswer } from '../mesh/denial-answer.ts';
import { CREDENTIAL_HEADERS, identityOf, NOBODY } from '../mesh/identity.ts';
import type { Denial } from '../mesh/judge-request.ts';
import { Failure } from '../platform/failure.ts';
import { lruCache } from '../platform/lru-cache.ts';
import { isRefusal } from '../rpc/interceptors/authentication.ts';
import type { Principal } from '../sessions/principal.ts';

/** What a proxy is answered, without what each answer has of its own. */
export type Answer = { status: number; fields: Readonly<OutgoingHttpHeaders>; body: string };
type Allowed = { principal: Principal | undefined; token: string };

/** The answers for requests that may pass, each made once for its principal. */
export class AllowedAnswers {
  readonly #kept: LRUCache<Principal, { token: string; answer: Answer }>;

  constructor(max: number) {
    this.#kept = lruCache(max);
  }

  /** `forged` names headers of the client's that read like ours. */
  answer({ principal, token }: Allowed, forged: readonly string[]): Answer {
    if (!principal || forged.length > 0) return allowed(principal, token, forged);
    const known = this.#kept.get(principal);
    if (known?.token === token) return known.answer;
    const answer = allowed(principal, token, forged);
    this.#kept.set(principal, { token, answer });
    return answer;
  }
}

function allowed(
  principal: Principal | undefined,
  token: string,
  forged: readonly string[],
): Answer {
  const fields: OutgoingHttpHeaders = { ...(principal ? identityOf(principal) : NOBODY) };
  if (token !== '') fields['authorization'] = `Bearer ${token}`;
  // Envoy removes these from the request after it has set others; the rest of the proxies don't read it.
  fields[REMOVED] = [
    ...CREDENTIAL_HEADERS.filter((name) => token === '' || name !== 'authorization'),
    'x-countersign-caller',
    ...forged,
  ].join(',');
  return { status: 200, fields, body: '' };
}

const REMOVED = 'x-envoy-auth-headers-to-remove';

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
