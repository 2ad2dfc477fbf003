import { LIMIT_LABELS } from '../platform/limit-decisions.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { RateLimits } from '../rpc/interceptors/rate-limits.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import { CHECK_LABELS } from '../sessions/token-checks.ts';

/** Credentials that are presented, and limits on presenting them. */
export function credentialMetrics(
  metrics: Metrics,
  { deps, limiter }: { deps: Dependencies; limiter: RateLimits },
): void {
  const { verifier, apiKeyVerifier, keyLimits, keyLookups } = deps;
  metrics.counter(
    {
      name: 'countersign_token_checks_total',
      help: 'Checks of access tokens and API keys, by any method or interceptor.',
      labels: CHECK_LABELS,
    },
    () => [...verifier.checks.samples, ...apiKeyVerifier.checks.samples],
  );
  metrics.counter(
    {
      name: 'countersign_rate_limit_decisions_total',
      help: 'Calls and uses of keys that a limit has let through or refused.',
      labels: LIMIT_LABELS,
    },
    () => [limiter, keyLimits, keyLookups].flatMap(({ decisions }) => [...decisions.samples]),
  );
}
