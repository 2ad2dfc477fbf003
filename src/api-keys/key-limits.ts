import { LimitDecisions } from '../platform/limit-decisions.ts';
import { lruCache } from '../platform/lru-cache.ts';
import { RateCounts } from '../platform/rate-counts.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { KeyLimit } from './api-key.repository.ts';

/** How many windows of different lengths are kept in memory; keys with the same length share one. */
const LENGTHS = 1000;

/** How much of its limit a key has used. */
export type LimitStatus = {
  limit: number;
  /** The length of its window. */
  seconds: number;
  remaining: number;
  resetsInMs: number;
};

export type LimitVerdict = { isAllowed: boolean; status: LimitStatus };

/** Counts uses of keys that have a limit, in windows that begin with a use, on all replicas together. */
export class KeyLimits {
  readonly decisions = new LimitDecisions();
  readonly #redis: RedisClient | undefined;
  readonly #counts = lruCache<number, RateCounts>(LENGTHS);

  constructor(redis: RedisClient | undefined) {
    this.#redis = redis;
  }

  /** Counts a use as `cost` uses, or as none if fewer are left. */
  async count(
    keyId: string,
    { requests: limit, seconds }: KeyLimit,
    cost: number,
  ): Promise<LimitVerdict> {
    const { isAllowed, used, resetsInMs } = await this.#of(seconds).take(keyId, limit, cost);
    this.decisions.note('api_key', isAllowed);
    const remaining = Math.max(limit - used, 0);
    return { isAllowed, status: { limit, seconds, remaining, resetsInMs } };
  }

  #of(seconds: number): RateCounts {
    const known = this.#counts.get(seconds);
    if (known) return known;
    const counts = new RateCounts(`countersign:key:${seconds}`, seconds, this.#redis);
    this.#counts.set(seconds, counts);
    return counts;
  }
}
