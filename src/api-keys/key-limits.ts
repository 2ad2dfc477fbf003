import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { LimitDecisions } from '../platform/limit-decisions.ts';
import { lruCache } from '../platform/lru-cache.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { KeyLimit } from './api-key.repository.ts';

/** How many different limits are kept in memory; keys with the same limit share one. */
const LIMITERS = 1000;
/** After a failure of Redis, this replica counts by itself for this long before it asks again. */
const AWAY_MS = 1000;

/** How much of its limit a key has used. */
export type LimitStatus = { limit: number; remaining: number; resetsInMs: number };

export type LimitVerdict = { isAllowed: boolean; status: LimitStatus };

type Limiter = { local: RateLimiterMemory; shared: RateLimiterRedis | undefined };

/**
 * Counts uses of keys that have a limit, in windows that begin with a use. Replicas share the counts
 * through Redis. While Redis is away each replica counts its own; the first use that notices waits for
 * Redis's time limit, and those after it don't.
 */
export class KeyLimits {
  readonly decisions = new LimitDecisions();
  readonly #redis: RedisClient | undefined;
  readonly #limiters = lruCache<string, Limiter>(LIMITERS);
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisClient | undefined) {
    this.#redis = redis;
  }

  /** Counts a use as `cost` uses, or as none if fewer are left. */
  async count(keyId: string, limit: KeyLimit, cost: number): Promise<LimitVerdict> {
    const verdict = await this.#count(keyId, limit, cost);
    this.decisions.note('api_key', verdict.isAllowed);
    return verdict;
  }

  async #count(keyId: string, limit: KeyLimit, cost: number): Promise<LimitVerdict> {
    const { local, shared } = this.#limiter(limit);
    if (!shared || performance.now() < this.#awayUntil) return this.#use(local, keyId, limit, cost);
    try {
      return await this.#use(shared, keyId, limit, cost);
    } catch {
      this.#awayUntil = performance.now() + AWAY_MS;
      return this.#use(local, keyId, limit, cost);
    }
  }

  async #use(
    limiter: RateLimiterMemory | RateLimiterRedis,
    keyId: string,
    limit: KeyLimit,
    cost: number,
  ): Promise<LimitVerdict> {
    try {
      return { isAllowed: true, status: status(limit, await limiter.consume(keyId, cost)) };
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      // The library has counted it, but a refusal uses nothing up. With a cost of 1, nothing was left.
      if (cost > 1) await limiter.reward(keyId, cost);
      return { isAllowed: false, status: status(limit, refused, cost) };
    }
  }

  #limiter(limit: KeyLimit): Limiter {
    const name = `${limit.requests}/${limit.seconds}`;
    let limiter = this.#limiters.get(name);
    if (!limiter) {
      const options = { points: limit.requests, duration: limit.seconds };
      const keyPrefix = `countersign:key:${limit.seconds}`;
      limiter = {
        local: new RateLimiterMemory({ ...options, keyPrefix }),
        shared:
          this.#redis &&
          new RateLimiterRedis({
            ...options,
            keyPrefix,
            storeClient: this.#redis,
            rejectIfRedisNotReady: true,
          }),
      };
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }
}

function status(limit: KeyLimit, result: RateLimiterRes, refused = 0): LimitStatus {
  const used = result.consumedPoints - refused;
  return {
    limit: limit.requests,
    remaining: Math.max(limit.requests - used, 0),
    resetsInMs: Math.max(result.msBeforeNext, 0),
  };
}
