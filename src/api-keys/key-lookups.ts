import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { Failure } from '../platform/failure.ts';
import { LimitDecisions } from '../platform/limit-decisions.ts';
import { networkOf } from '../platform/net.ts';

const POLICY = 'unknown_keys';
/** Unknown secrets (`points`) of one address in a number of seconds (`duration`). */
const LIMIT = { points: 300, duration: 60 };

/**
 * Limits how many unknown secrets of one address are looked up in the database: anyone can make up as
 * many well-formed ones as they like. Each replica counts for itself, since what is protected is its
 * own pool of connections. Secrets that this replica knows are not looked up, and so not limited.
 */
export class KeyLookups {
  readonly decisions = new LimitDecisions();
  readonly #limiter: RateLimiterMemory | undefined;

  constructor(isLimited: boolean) {
    this.#limiter = isLimited ? new RateLimiterMemory(LIMIT) : undefined;
  }

  /** Counts a lookup before it is made. Throws `RATE_LIMITED` if the address has none left. */
  async begin(countedAs: string): Promise<void> {
    try {
      await this.#limiter?.consume(networkOf(countedAs));
      if (this.#limiter) this.decisions.note(POLICY, true);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      this.decisions.note(POLICY, false);
      const message = 'too many unknown API keys from this address; wait and call again';
      throw new Failure('exhausted', 'RATE_LIMITED', message, {
        retryAfterMs: error.msBeforeNext,
      });
    }
  }

  /** Undoes the count of a lookup that found a key or failed. */
  async giveBack(countedAs: string): Promise<void> {
    await this.#limiter?.reward(networkOf(countedAs));
  }
}
