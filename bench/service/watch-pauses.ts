import { appendFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

/**
 * Loaded into a service whose pauses are measured: SIGUSR2 makes it write how long (ms) each collection
 * of garbage since the last time held it up, as a line of JSON in the file that BENCH_PAUSES names.
 */
const file = process.env['BENCH_PAUSES'];
if (file === undefined) throw new Error('BENCH_PAUSES is not set');

let pauses: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauses.push(duration);
}).observe({ entryTypes: ['gc'] });

process.on('SIGUSR2', () => {
  appendFileSync(file, `${JSON.stringify(pauses)}\n`);
  pauses = [];
});
