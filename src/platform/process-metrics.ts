import { collectDefaultMetrics, Registry } from 'prom-client';

/** To count these takes the longer the more connections there are, and the open files say as much. */
const COSTLY = [
  'nodejs_active_handles',
  'nodejs_active_requests',
  'nodejs_active_resources',
].flatMap((name) => [name, `${name}_total`]);

let registry: Registry | undefined;

/**
 * The metrics of the process: processor, memory, heap, garbage collection, event loop, open files. There
 * is one set of them, however many services the process has, since what watches the event loop and the
 * collector runs until the process ends.
 */
export function processMetrics(): Registry {
  if (!registry) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const name of COSTLY) registry.removeSingleMetric(name);
  }
  return registry;
}
