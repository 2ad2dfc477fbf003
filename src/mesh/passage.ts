import type { LRUCache } from 'lru-cache';
import { lruCache } from '../platform/lru-cache.ts';
import type { Principal } from '../sessions/principal.ts';
import { identityOf, NOBODY } from './identity.ts';

/** A request that may pass, for whom, and the token that takes the place of its credential, if any. */
export type Allowed = { principal: Principal | undefined; token: string };

/** What a proxy has to change in a request before it passes it on (M01). */
export type Passage = {
  set: Readonly<Record<string, string>>;
  /** Nothing that is set: Envoy removes after it sets. */
  removed: readonly string[];
};

/** `forged` names headers of the client's that read like ours. */
function passageOf({ principal, token }: Allowed, forged: readonly string[]): Passage {
  const identity = principal ? identityOf(principal) : NOBODY;
  const own = ['x-api-key', 'x-countersign-caller'];
  return token === ''
    ? { set: identity, removed: ['authorization', ...own, ...forged] }
    : { set: { ...identity, authorization: `Bearer ${token}` }, removed: [...own, ...forged] };
}

/** The answers that let requests pass, in the form of one door: each is made once for its principal. */
export class PassingAnswers<T> {
  readonly #make: (passage: Passage) => T;
  readonly #kept: LRUCache<Principal, { token: string; answer: T }>;

  /** Keeps the `max` answers that were used last. */
  constructor(max: number, make: (passage: Passage) => T) {
    this.#make = make;
    this.#kept = lruCache(max);
  }

  answer(allowed: Allowed, forged: readonly string[]): T {
    const { principal, token } = allowed;
    if (!principal || forged.length > 0) return this.#make(passageOf(allowed, forged));
    const known = this.#kept.get(principal);
    if (known?.token === token) return known.answer;
    const answer = this.#make(passageOf(allowed, forged));
    this.#kept.set(principal, { token, answer });
    return answer;
  }
}
