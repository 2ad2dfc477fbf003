import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile } from '../../../bench/report/statistics.ts';
import { residentBytes } from '../../child.ts';
import { FUZZ_WINDOW_MS, FUZZ_WINDOWS } from '../../harness/scale.ts';
import { FuzzedService, type Fuzzer } from './fuzzed-service.ts';
import { GoodClient } from './good-client.ts';

/** One window says nothing of durations. */
const COMPARES = FUZZ_WINDOWS > 1;
const GROWTH_BYTES = 100 * 1024 * 1024;
const P99_FACTOR = 2;
/** Between a window with hostile callers and one without: until nothing of theirs is left to do. */
const SETTLE_MS = 300;

/**
 * Holds a service to W01 while hostile callers do what a seed says, in windows between others in which
 * they are silent. How many windows there are, and how long: see harness/scale.ts.
 */
export async function withstands(fuzzer: Fuzzer): Promise<void> {
  const again = `the same again: FUZZ_SEED=${fuzzer.seed}`;
  process.stdout.write(`${again}\n`);
  const service = await FuzzedService.start(fuzzer);
  const good = new GoodClient(service.child);
  await good.warmUp();
  const restingBytes = residentBytes(service.child);
  good.come();
  const [alone, beside] = await latencies(service, good);
  await good.leave();
  const grown = service.mostBytes - restingBytes;
  const [before, during] = [p99(alone), p99(beside)];
  const times = COMPARES
    ? `, p99 ${during.toFixed(1)} ms, without them ${before.toFixed(1)} ms`
    : '';
  const summary = `${service.played} connections, ${service.heard} calls from one address, ${mib(grown)} MiB above ${mib(restingBytes)}${times}; ${again}`;
  process.stdout.write(`${summary}\n`);
  assert.deepEqual(service.trouble, [], again);
  assert.deepEqual(good.errors, [], again);
  assert.ok(grown < GROWTH_BYTES, summary);
  assert.ok(service.heard > 0, summary);
  if (COMPARES) assert.ok(during < P99_FACTOR * before, summary);
  assert.equal(await service.child.end(), 0, 'it stops in good order');
}

/** What good calls take in each window without hostile callers and in each window with them. */
async function latencies(
  service: FuzzedService,
  good: GoodClient,
): Promise<[number[][], number[][]]> {
  const alone: number[][] = [];
  const beside: number[][] = [];
  for (let window = 0; window < FUZZ_WINDOWS; window += 1) {
    if (COMPARES) {
      await sleep(SETTLE_MS);
      good.latencies();
      await sleep(FUZZ_WINDOW_MS);
      alone.push(good.latencies());
    }
    await service.fuzz(FUZZ_WINDOW_MS);
    beside.push(good.latencies());
  }
  return [alone, beside];
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

/** Of the windows' percentiles the median: something else may have kept the machine busy in one. */
function p99(windows: readonly (readonly number[])[]): number {
  return median(windows.map((latencies) => percentile(latencies, 0.99)));
}
