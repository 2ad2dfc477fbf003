import type { Outbox } from '../mail/outbox.ts';
import type { Jobs } from '../platform/jobs.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { CallDurations } from '../rpc/call-durations.ts';
import type { RateLimits } from '../rpc/interceptors/rate-limits.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import type { Serving } from '../rpc/serving.ts';
import type { WebhookLanes } from '../webhooks/webhook-lanes.ts';
import { callMetrics } from './call-metrics.ts';
import { credentialMetrics } from './credential-metrics.ts';
import { dependencyMetrics, memoryMetrics } from './dependency-metrics.ts';
import { meshMetrics, queueMetrics } from './queue-metrics.ts';
import { replicaMetrics } from './replica-metrics.ts';
import { signInMetrics } from './sign-in-metrics.ts';

/** Says what every metric is called and means, and where it is read. docs/metrics.md lists them. */
export function describeMetrics(
  metrics: Metrics,
  parts: {
    durations: CallDurations;
    serving: Pick<Serving, 'services'> & { deps: Dependencies; limiter: RateLimits };
    platform: Parameters<typeof dependencyMetrics>[1] & { jobs: Jobs };
    outbox: Outbox;
    webhookLanes: WebhookLanes;
    isReady: () => boolean;
  },
): void {
  callMetrics(metrics, parts.durations, parts.serving);
  credentialMetrics(metrics, parts.serving);
  signInMetrics(metrics, parts.serving.deps);
  memoryMetrics(metrics, parts.serving.deps);
  dependencyMetrics(metrics, parts.platform);
  queueMetrics(metrics, { ...parts.platform, ...parts });
  meshMetrics(metrics, parts.serving.deps);
  replicaMetrics(metrics, parts.isReady);
}
