import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Makes calls at a steady pace, whether or not earlier ones are answered, and returns how long each took
 * (ms) from the moment when it was due.
 */
export async function pacedLatencies(
  call: () => Promise<void>,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<number[]> {
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let made = 0; made < perSecond * seconds; ) {
    const due = startedAt + (made * 1000) / perSecond;
    const now = performance.now();
    if (now < due) {
      await sleep(Math.max(1, due - now));
      continue;
    }
    // Not from when the call is made: a late client would hide what its callers wait for.
    const from = Math.max(due, now - 1);
    pending.push(call().then(() => void latencies.push(performance.now() - from)));
    made += 1;
  }
  await Promise.all(pending);
  return latencies;
}
