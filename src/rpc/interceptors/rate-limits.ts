import { RatePolicy } from '../../../gen/countersign/v1/access_pb.ts';
import type { RateTiers } from '../../access/rate-tiers.ts';
import { Failure } from '../../platform/failure.ts';
import { LimitDecisions } from '../../platform/limit-decisions.ts';
import { networkOf } from '../../platform/net.ts';
import { RateCounts } from '../../platform/rate-counts.ts';
import type { RedisClient } from '../../platform/redis.ts';
import type { Call } from '../call.ts';

/** Calls in a number of seconds, as the comments of the proto promise. */
type Policy = { name: string; calls: number; seconds: number };

const POLICIES: readonly [RatePolicy, Policy][] = [
  [RatePolicy.CREDENTIALS, { name: 'credentials', calls: 30, seconds: 60 }],
  [RatePolicy.MAIL, { name: 'mail', calls: 20, seconds: 600 }],
  [RatePolicy.TOKENS, { name: 'tokens', calls: 300, seconds: 60 }],
  [RatePolicy.EXCHANGES, { name: 'exchanges', calls: 3000, seconds: 60 }],
];

/** Counts calls by address, or by principal where the policy says so. */
export type RateLimits = {
  /** What it came to. */
  readonly decisions: LimitDecisions;
  /**
   * Counts a call, and notes in it what is left. `takesCredential`: the method is not public. Throws
   * `RATE_LIMITED` if nothing is left to whoever calls.
   */
  count(policy: RatePolicy, call: Call, takesCredential?: boolean): Promise<void>;
};

export const noRateLimits: RateLimits = {
  decisions: new LimitDecisions(),
  count: async () => {},
};

/** Limits that replicas share through Redis. Without it, or while it is away, each counts by itself. */
export function rateLimits(redis: RedisClient | undefined, tiers: RateTiers): RateLimits {
  const limits = new Map(
    POLICIES.map(([id, policy]) => {
      const counts = new RateCounts(`countersign:rate:${id}`, policy.seconds, redis);
      return [id, { ...policy, counts }];
    }),
  );
  const decisions = new LimitDecisions();
  return {
    decisions,
    async count(wanted, call, takesCredential = false) {
      const { id, key, tier } = countedBy(wanted, call, takesCredential, tiers);
      const limit = limits.get(id);
      if (!limit) return;
      // A service that exchanges many tokens gets more calls for that than for anything else.
      const calls =
        id === RatePolicy.TOKENS ? (tier ?? limit.calls) : Math.max(limit.calls, tier ?? 0);
      const { isAllowed, used, resetsInMs } = await limit.counts.take(key, calls);
      decisions.note(limit.name, isAllowed);
      const { name: policy, seconds } = limit;
      const status = {
        policy,
        limit: calls,
        seconds,
        remaining: Math.max(calls - used, 0),
        resetsInMs,
      };
      call.rateLimits = [...(call.rateLimits ?? []), status];
      if (!isAllowed) throw limited(resetsInMs);
    },
  };
}

/**
 * The policy that counts a call, what it counts it under, and the tier of whom it counts. CREDENTIALS and
 * MAIL are about what strangers can try, or have sent to others, and count addresses only.
 */
function countedBy(
  policy: RatePolicy,
  { countedAs, principal }: Call,
  takesCredential: boolean,
  tiers: RateTiers,
): { id: RatePolicy; key: string; tier?: number | undefined } {
  const isExchange = policy === RatePolicy.EXCHANGES;
  if (principal && (isExchange || (takesCredential && policy === RatePolicy.TOKENS))) {
    return { id: policy, key: `principal ${principal.subject}`, tier: tiers.of(principal) };
  }
  return { id: isExchange ? RatePolicy.TOKENS : policy, key: networkOf(countedAs) };
}

function limited(retryAfterMs: number): Failure {
  const message = 'too many calls; wait and call again';
  return new Failure('exhausted', 'RATE_LIMITED', message, { retryAfterMs });
}
