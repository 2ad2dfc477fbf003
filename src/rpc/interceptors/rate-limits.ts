import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { RatePolicy } from '../../../gen/countersign/v1/access_pb.ts';
import { Failure } from '../../platform/failure.ts';
import { LimitDecisions } from '../../platform/limit-decisions.ts';
import { networkOf } from '../../platform/net.ts';
import type { RedisClient } from '../../platform/redis.ts';
import type { Call } from '../call.ts';

type Limit = { points: number; duration: number };

/** Calls (`points`) in a number of seconds (`duration`), as the comments of the proto promise. */
const LIMITS: readonly [RatePolicy, Limit][] = [
  [RatePolicy.CREDENTIALS, { points: 30, duration: 60 }],
  [RatePolicy.MAIL, { points: 20, duration: 600 }],
  [RatePolicy.TOKENS, { points: 300, duration: 60 }],
  [RatePolicy.EXCHANGES, { points: 3000, duration: 60 }],
];

const NAMES: ReadonlyMap<RatePolicy, string> = new Map(
  Object.entries(RatePolicy).map(([name, policy]) => [policy, name.toLowerCase()]),
);

/** Counts calls by address, or by principal where the policy says so. */
export type RateLimits = {
  /** What it came to. */
  readonly decisions: LimitDecisions;
  /** Throws `RATE_LIMITED` if who calls has used up what the policy allows them. */
  count(policy: RatePolicy, call: Counted): Promise<void>;
};

/** What is known of a call when it is counted. */
type Counted = Pick<Call, 'countedAs' | 'principal'>;

export const noRateLimits: RateLimits = {
  decisions: new LimitDecisions(),
  count: async () => {},
};

/** Limits that replicas share through Redis. Without it, or while it is away, each counts by itself. */
export function rateLimits(redis: RedisClient | undefined): RateLimits {
  const limiters = new Map<RatePolicy, RateLimiterAbstract>();
  for (const [policy, limit] of LIMITS) {
    const local = new RateLimiterMemory({ ...limit, keyPrefix: `rate:${policy}` });
    limiters.set(
      policy,
      redis
        ? new RateLimiterRedis({
            ...limit,
            storeClient: redis,
            keyPrefix: `countersign:rate:${policy}`,
            insuranceLimiter: local,
            rejectIfRedisNotReady: true,
          })
        : local,
    );
  }
  const decisions = new LimitDecisions();
  return {
    decisions,
    async count(wanted, call) {
      const [policy, key] = countedBy(wanted, call);
      const name = NAMES.get(policy) ?? '';
      try {
        await limiters.get(policy)?.consume(key);
        decisions.note(name, true);
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        decisions.note(name, false);
        throw new Failure('exhausted', 'RATE_LIMITED', 'too many calls; wait and call again', {
          retryAfterMs: error.msBeforeNext,
        });
      }
    },
  };
}

/** The policy that counts a call, and what it counts it under. */
function countedBy(policy: RatePolicy, { countedAs, principal }: Counted): [RatePolicy, string] {
  if (policy !== RatePolicy.EXCHANGES) return [policy, networkOf(countedAs)];
  if (principal) return [policy, `principal ${principal.subject}`];
  return [RatePolicy.TOKENS, networkOf(countedAs)];
}
