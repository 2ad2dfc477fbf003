import { setTimeout as sleep } from 'node:timers/promises';

/** Far longer than what the branches of one method differ by, and hardly noticed by a person. */
const STEP_MS = 100;
/** Longer, since password hashes of other systems take their own time to check. */
const REFUSAL_STEP_MS = 250;

/**
 * Does `work` and settles as it does, though only at the end of a step of time: whoever measures a
 * call learns from its duration nothing of what there was to do (C04).
 */
export async function inEvenTime<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const startedAt = performance.now();
  try {
    return await work();
  } finally {
    await endOfStep(startedAt, STEP_MS, signal);
  }
}

/**
 * Waits before a sign-in is refused until a step of time has passed since the check of its password
 * began: how long it waited for its turn tells of the crowd, and what came then would tell of the
 * account. Whoever is let in knows already that it exists, and waits for nothing.
 */
export function untilRefusal(checkedAt: number, signal: AbortSignal): Promise<void> {
  return endOfStep(checkedAt, REFUSAL_STEP_MS, signal);
}

async function endOfStep(startedAt: number, stepMs: number, signal: AbortSignal): Promise<void> {
  const inStep = (performance.now() - startedAt) % stepMs;
  await sleep(stepMs - inStep, undefined, { signal }).catch(() => signal.throwIfAborted());
}
