const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** How long after the attempt before it each attempt is made (ms). */
const DELAYS: readonly number[] = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];
/** Delays are up to this much shorter or longer, so that what failed together does not return together. */
const JITTER = 0.2;
const MIN_PAUSE = 5 * SECOND;
const MAX_PAUSE = 5 * MINUTE;

/**
 * Returns how long (ms) after a failure the attempt `step` is made, counted from 0; undefined if there is
 * no such attempt. A target that names a time gets it, up to twice the delay. `random` is in [0, 1).
 */
export function delayBefore(
  step: number,
  retryAfterMs: number | undefined,
  random: number,
): number | undefined {
  const delay = DELAYS[step];
  if (delay === undefined) return undefined;
  const jittered = delay * (1 + JITTER * (2 * random - 1));
  return Math.round(within(retryAfterMs ?? 0, jittered, 2 * delay));
}

/**
 * Returns how long (ms) nothing is sent to a target that asks for time or does not answer in time: as
 * long as it has been failing, within limits.
 */
export function pauseAfter(failingMs: number, retryAfterMs: number | undefined): number {
  const pause = within(failingMs, MIN_PAUSE, MAX_PAUSE);
  return within(retryAfterMs ?? 0, pause, 2 * pause);
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}
