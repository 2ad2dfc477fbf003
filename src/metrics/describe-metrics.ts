import type { Metrics } from '../platform/metrics.ts';
import type { CallDurations } from '../rpc/call-durations.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import type { Serving } from '../rpc/serving.ts';
import { callMetrics } from './call-metrics.ts';
import { credentialMetrics } from './credential-metrics.ts';
import { replicaMetrics } from './replica-metrics.ts';

/** Says what every metric is called and means, and where it is read. docs/metrics.md lists them. */
export function describeMetrics(
  metrics: Metrics,
  parts: {
    durations: CallDurations;
    serving: Pick<Serving, 'services'> & { deps: Dependencies };
    isReady: () => boolean;
  },
): void {
  callMetrics(metrics, parts.durations, parts.serving);
  credentialMetrics(metrics, parts.serving.deps);
  replicaMetrics(metrics, parts.isReady);
}
