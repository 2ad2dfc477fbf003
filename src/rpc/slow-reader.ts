import { Failure } from '../platform/failure.ts';

const SLICES = 10;

/**
 * Waits until a reader has taken what is ready for it. Rejects with `OVERLOADED` if the reader takes
 * nothing for `limitMs` (W02). The time is counted in slices, and input is handled between them: if this
 * process itself is busy for a while, and neither sends nor receives, its readers do not pay.
 */
export function drainedInTime<T>(drained: Promise<T>, limitMs: number): Promise<T> {
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
  const text =
    'the reader of this stream has taken nothing for too long; call again and keep reading';
  return new Failure('exhausted', 'OVERLOADED', text, { retryAfterMs: 1000 });
}
