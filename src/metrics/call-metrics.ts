import type { Metrics } from '../platform/metrics.ts';
import { CALL_LABELS, type CallDurations } from '../rpc/call-durations.ts';
import { methodPath } from '../rpc/interceptors/logging.ts';
import type { Serving } from '../rpc/serving.ts';

/** What is asked by plain HTTP, by the names of its log lines. */
const ENDPOINTS = ['verify', '/oauth2/introspect', '/oauth2/revoke', '/oauth2/token'];

/** Calls, named by the semantic conventions of OpenTelemetry for RPC. */
export function callMetrics(
  metrics: Metrics,
  durations: CallDurations,
  { services }: Pick<Serving, 'services'>,
): void {
  const methods = services.flatMap(({ descriptor }) => descriptor.methods.map(methodPath));
  durations.know([...methods, ...ENDPOINTS]);
  metrics.histogram(
    {
      name: 'rpc_server_call_duration_seconds',
      help: 'How long calls take, from their headers to their end; of a stream, as long as it is open.',
      labels: CALL_LABELS,
    },
    () => durations.all,
  );
}
