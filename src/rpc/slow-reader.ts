import { Failure } from '../platform/failure.ts';

const SLICES = 10;

/**
 * Gives up a reader who has taken nothing for `limitMs` (W02): rejects with `OVERLOADED`. The time is
 * counted in slices, each of which lets input through: a process that was busy itself, and neither
 * sent nor heard anything, does not take its readers for slow.
 */
export function orTooSlow<T>(drained: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    let left = SLICES;
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) return;
      clearInterval(timer);
      reject(tooSlow());
    }, limitMs / SLICES);
    const settle = () => clearInterval(timer);
    drained.then(resolve, reject).finally(settle);
  });
}

function tooSlow(): Failure {
  return new Failure('exhausted', 'OVERLOADED', 'what there was to read has not been taken', {
    retryAfterMs: 1000,
  });
}
