import { unavailable, type VerifierError } from './errors.ts';
import type { RevocationFeed } from './feed.ts';
import type { KeySet } from './key-set.ts';
import type { Settings } from './options.ts';
import type { Principal } from './principal.ts';
import type { ServiceClock } from './service-clock.ts';
import { expiredToken, invalidToken, revokedToken } from './token.ts';

type Parts = {
  readonly settings: Pick<Settings, 'whileStale' | 'acceptForMs'>;
  readonly feed: RevocationFeed;
  readonly keys: KeySet;
  readonly serviceClock: ServiceClock;
};

/** Judges what was accepted before, by what has been heard since. */
export class Standing {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whether what has been heard of revocations may decide. */
  get goesByMemory(): boolean {
    const { feed, settings } = this.#parts;
    if (feed.isFresh) return true;
    return settings.whileStale === 'accept' && feed.staleForMs < settings.acceptForMs;
  }

  /** While nothing is heard, revoked keys can't be missed by more than revoked tokens can. */
  get trustsKeys(): boolean {
    return this.#parts.keys.isFresh || !this.#parts.feed.isFresh;
  }

  /**
   * Why a principal that was accepted before is not any more, as far as is known here: undefined if it
   * still is. DEPENDENCY_UNAVAILABLE: revocations have not been heard for too long.
   */
  objection(principal: Principal): VerifierError | undefined {
    const { feed, keys, serviceClock } = this.#parts;
    if (principal.expiresAt <= serviceClock.nowSeconds()) return expiredToken();
    if (feed.covers(principal)) return revokedToken();
    if (principal.keyId !== '' && !keys.has(principal.keyId)) return invalidToken();
    return this.goesByMemory ? undefined : notHeard();
  }

  /** Returns a principal to whom there is no objection. Throws what there is. */
  live(principal: Principal): Principal {
    const objection = this.objection(principal);
    if (objection) throw objection;
    return principal;
  }
}

export function notHeard(): VerifierError {
  return unavailable('revocations have not been heard for too long');
}
