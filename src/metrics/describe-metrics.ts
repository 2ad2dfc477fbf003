import type { Metrics } from '../platform/metrics.ts';
import type { CallDurations } from '../rpc/call-durations.ts';
import type { RateLimits } from '../rpc/interceptors/rate-limits.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import type { Serving } from '../rpc/serving.ts';
import { callMetrics } from './call-metrics.ts';
import { credentialMetrics } from './credential-metrics.ts';
import { replicaMetrics } from './replica-metrics.ts';
import { signInMetrics } from './sign-in-metrics.ts';

/** Says what every metric is called and means, and where it is read. docs/metrics.md lists them. */
export function describeMetrics(
  metrics: Metrics,
  parts: {
    durations: CallDurations;
    serving: Pick<Serving, 'services'> & { deps: Dependencies; limiter: RateLimits };
    isReady: () => boolean;
  },
): void {
  callMetrics(metrics, parts.durations, parts.serving);
  credentialMetrics(metrics, parts.serving);
  signInMetrics(metrics, parts.serving.deps);
  replicaMetrics(metrics, parts.isReady);
}
