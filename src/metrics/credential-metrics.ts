import type { ApiKeyVerifier } from '../api-keys/verify-api-key.ts';
import type { Metrics } from '../platform/metrics.ts';
import { CHECK_LABELS } from '../sessions/token-checks.ts';
import type { AccessTokenVerifier } from '../sessions/verify-access-token.ts';

/** Credentials that are presented. */
export function credentialMetrics(
  metrics: Metrics,
  { verifier, apiKeyVerifier }: { verifier: AccessTokenVerifier; apiKeyVerifier: ApiKeyVerifier },
): void {
  metrics.counter(
    {
      name: 'countersign_token_checks_total',
      help: 'Checks of access tokens and API keys, by any method or interceptor.',
      labels: CHECK_LABELS,
    },
    () => [...verifier.checks.samples, ...apiKeyVerifier.checks.samples],
  );
}
