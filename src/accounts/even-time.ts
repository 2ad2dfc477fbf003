import { setTimeout as sleep } from 'node:timers/promises';

/** Far longer than what the branches of one method differ by, and hardly noticed by a person. */
const STEP_MS = 100;

/**
 * Does `work` and settles as it does, though only at the end of a step of time: whoever measures a
 * call learns from its duration nothing of what there was to do (C04).
 */
export async function inEvenTime<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const startedAt = performance.now();
  try {
    return await work();
  } finally {
    const inStep = (performance.now() - startedAt) % STEP_MS;
    await sleep(STEP_MS - inStep, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
