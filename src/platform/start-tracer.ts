import type { Log } from './log.ts';
import { noTracer, type Tracer } from './tracer.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** What records traces. OpenTelemetry is loaded only if there is a collector. */
export async function startTracer(
  settings: TracingSettings | undefined,
  log: Pick<Log, 'warn'>,
): Promise<Tracer> {
  if (!settings) return noTracer;
  const { OpenTelemetry } = await import('./open-telemetry.ts');
  return new OpenTelemetry(settings, log);
}
