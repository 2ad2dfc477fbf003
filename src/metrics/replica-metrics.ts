import program from '../../package.json' with { type: 'json' };
import type { Metrics } from '../platform/metrics.ts';

/** The replica itself: what runs, and whether it is ready for calls. */
export function replicaMetrics(metrics: Metrics, isReady: () => boolean): void {
  const labels = { version: program.version, node_version: process.version };
  metrics.gauge(
    {
      name: 'countersign_build_info',
      help: 'Always 1; the labels say which version runs.',
      labels: Object.keys(labels),
    },
    () => [{ labels, value: 1 }],
  );
  metrics.gauge(
    { name: 'countersign_ready', help: '1 if this replica should get calls, else 0.' },
    () => [{ labels: {}, value: isReady() ? 1 : 0 }],
  );
}
