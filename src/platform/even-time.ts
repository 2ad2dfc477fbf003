import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from './failure.ts';

/** Far longer than the branches of one method differ by, and hardly noticeable to a person. */
const STEP_MS = 100;
/** Longer, because imported password hashes take their own time to check: for each time it is done. */
const REFUSAL_STEP_MS = 250;

/**
 * Runs `work` and settles like it, but only at the end of a step of time, so that the duration of a call
 * reveals nothing about what there was to do (C04).
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
 * Runs `work`, which decides about a sign-in whose password has been checked. If it throws an
 * `unauthenticated` failure, waits for the end of a step of time first. Steps begin with the check, at
 * `checkedAt`: the time from then on depends on the account, whereas the time before depends on how many
 * others were waiting. A caller who is let in already knows that the account exists, and does not wait.
 * A step is as long as `checks` checks of a password need.
 */
export async function refusingInEvenTime<T>(
  { checkedAt, checks }: { checkedAt: number; checks: number },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure && error.kind === 'unauthenticated') {
      await endOfStep(checkedAt, checks * REFUSAL_STEP_MS, signal);
    }
    throw error;
  }
}

async function endOfStep(startedAt: number, stepMs: number, signal: AbortSignal): Promise<void> {
  const inStep = (performance.now() - startedAt) % stepMs;
  await sleep(stepMs - inStep, undefined, { signal }).catch(() => signal.throwIfAborted());
}
