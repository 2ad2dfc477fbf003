import { Failure } from '../platform/failure.ts';

/** Gives up a reader who has taken nothing for `limitMs` (W02): rejects with `OVERLOADED`. */
export function orTooSlow<T>(drained: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooSlow()), limitMs);
    const settle = () => clearTimeout(timer);
    drained.then(resolve, reject).finally(settle);
  });
}

function tooSlow(): Failure {
  return new Failure('exhausted', 'OVERLOADED', 'what there was to read has not been taken', {
    retryAfterMs: 1000,
  });
}
