import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { RedisClient } from '../platform/redis.ts';
import type { KeyLimit } from './api-key.repository.ts';

/** Different limits that are kept at hand; keys with the same limit share one. */
const LIMITERS = 1000;
/** After a failure of Redis, limits are counted here for so long before it is asked again. */
const AWAY_MS = 1000;

/** Where a key stands with its limit. */
export type LimitStatus = { limit: number; remaining: number; resetsInMs: number };

export type LimitVerdict = { isAllowed: boolean; status: LimitStatus };

type Limiter = { local: RateLimiterMemory; shared: RateLimiterRedis | undefined };

/**
 * Counts uses of keys that have a limit: in windows that begin with a use, shared by replicas through
 * Redis. While Redis is away each replica counts its own; the first use that notices waits for Redis's
 * time limit, those after it don't.
 */
export class KeyLimits {
  readonly #redis: RedisClient | undefined;
  readonly #limiters = new LRUCache<string, Limiter>({ max: LIMITERS });
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisClient | undefined) {
    this.#redis = redis;
  }

  /** Counts a use as `cost` uses, or none where there are not so many left. */
  async count(keyId: string, limit: KeyLimit, cost: number): Promise<LimitVerdict> {
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
      // The library has counted it. What is refused uses nothing up, and of one use nothing was left.
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
