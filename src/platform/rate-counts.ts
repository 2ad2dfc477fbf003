import { RateLimiterRedis } from 'rate-limiter-flexible';
import { lruCache } from './lru-cache.ts';
import type { RedisClient } from './redis.ts';

/** How many callers a replica remembers the counts of. */
const REMEMBERED = 20_000;

/** How often something was used in the present window, and when (ms) that ends. */
type Count = { used: number; resetsInMs: number };

/** Whether a use is within the limit. */
export type Taken = Count & { isAllowed: boolean };

/**
 * Counts uses, in windows that begin with a use. Replicas share the counts through Redis. Each also keeps
 * what it has counted itself, and the higher count holds: whatever becomes of Redis, a replica allows
 * nobody more in a window than the limit. While Redis is away, its client fails at once.
 */
export class RateCounts {
  readonly #windowMs: number;
  readonly #own = lruCache<string, { used: number; endsAt: number }>(REMEMBERED);
  readonly #shared: RateLimiterRedis | undefined;

  constructor(name: string, seconds: number, redis: RedisClient | undefined) {
    this.#windowMs = seconds * 1000;
    this.#shared =
      redis &&
      new RateLimiterRedis({
        // Limits differ from caller to caller: this only counts.
        points: Number.MAX_SAFE_INTEGER,
        duration: seconds,
        keyPrefix: name,
        storeClient: redis,
        rejectIfRedisNotReady: true,
      });
  }

  /** Counts a use as `cost` uses, or as none if fewer are left. */
  async take(key: string, limit: number, cost = 1): Promise<Taken> {
    const own = this.#addOwn(key, cost);
    // Redis has nothing to add.
    const count = own.used > limit ? own : await this.#addShared(key, limit, cost, own);
    if (count.used <= limit) return { ...count, isAllowed: true };
    this.#addOwn(key, -cost);
    return { ...count, used: count.used - cost, isAllowed: false };
  }

  async #addShared(key: string, limit: number, cost: number, own: Count): Promise<Count> {
    if (!this.#shared) return own;
    try {
      const { consumedPoints: used, msBeforeNext } = await this.#shared.consume(key, cost);
      // With a cost of 1, nothing was left that giving it back would save.
      if (used > limit && cost > 1) await this.#shared.reward(key, cost);
      return used < own.used ? own : { used, resetsInMs: Math.max(msBeforeNext, 0) };
    } catch {
      return own;
    }
  }

  #addOwn(key: string, cost: number): Count {
    const now = performance.now();
    let window = this.#own.get(key);
    if (!window || window.endsAt <= now) {
      window = { used: 0, endsAt: now + this.#windowMs };
      this.#own.set(key, window);
    }
    window.used = Math.max(window.used + cost, 0);
    return { used: window.used, resetsInMs: Math.ceil(window.endsAt - now) };
  }
}
