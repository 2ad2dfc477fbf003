import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica } from './replicas.ts';

/** What a replica's `/metrics` said at a moment (ms after the start). */
export type Sample = {
  at: number;
  /** Since when the process runs (s since 1970): another one after each restart. */
  startedAt: number;
  rssMib: number;
  heapMib: number;
  fds: number;
  /** Connections to PostgreSQL, and how many of them are busy. */
  connections: number;
  busy: number;
  /** The 99th percentile of the delays since the sample before (ms). */
  loopMs: number;
  /** Processor time so far (s). */
  cpuSeconds: number;
};

export type Series = { replica: string; samples: Sample[] };

const MIB = 1024 * 1024;
/** What is no delay: the resolution of the measurement. */
const NO_DELAY_MS = 10;
const TIMEOUT_MS = 2000;

/** Reads the metrics of each replica every `everyMs` until the signal fires. */
export function sampled(
  replicas: readonly Replica[],
  { everyMs, signal, now }: { everyMs: number; signal: AbortSignal; now: () => number },
): Series[] {
  return replicas.map(({ name, addresses }) => {
    const series: Series = { replica: name, samples: [] };
    void follow(addresses.http, series, { everyMs, signal, now });
    return series;
  });
}

async function follow(
  address: string,
  { samples }: Series,
  { everyMs, signal, now }: { everyMs: number; signal: AbortSignal; now: () => number },
): Promise<void> {
  while (!signal.aborted) {
    const at = now();
    const text = await metricsOf(address);
    if (text !== undefined) samples.push(sampleOf(text, at));
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** A replica that is away, or ends meanwhile, has none. */
export async function metricsOf(address: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(`http://${address}/metrics`, { signal });
    return response.ok ? await response.text() : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a sample from the text of Prometheus. */
export function sampleOf(text: string, at: number): Sample {
  const sum = (name: string, labels = '') => sumOf(text, name, labels);
  return {
    at,
    startedAt: sum('process_start_time_seconds'),
    rssMib: sum('process_resident_memory_bytes') / MIB,
    heapMib: sum('nodejs_heap_size_used_bytes') / MIB,
    fds: sum('process_open_fds'),
    connections: sum('countersign_db_pool_connections'),
    busy: sum('countersign_db_pool_connections', 'state="busy"'),
    loopMs: Math.max(0, sum('nodejs_eventloop_lag_p99_seconds') * 1000 - NO_DELAY_MS),
    cpuSeconds: sum('process_cpu_seconds_total'),
  };
}

/** The sum of a metric over all its labels, or over those that contain `labels`. */
export function sumOf(text: string, name: string, labels = ''): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) continue;
    if (line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
