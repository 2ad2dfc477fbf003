import { Failure } from './failure.ts';

/**
 * Runs tasks with the same key one after the other, in order of arrival. A bounded number may wait for
 * each key; any more are refused as `OVERLOADED`, with the message `refusal`.
 */
export class Turns {
  readonly #maxWaiting: number;
  readonly #refusal: string;
  /** For each key that has a task running: how to start those that wait. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(maxWaiting: number, refusal: string) {
    this.#maxWaiting = maxWaiting;
    this.#refusal = refusal;
  }

  /** Runs `work` when its turn has come. Throws the reason of `signal` if that fires first. */
  async take<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#come(key, signal);
    try {
      return await work();
    } finally {
      this.#leave(key);
    }
  }

  async #come(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const waiting = this.#waiting.get(key);
    if (!waiting) {
      this.#waiting.set(key, []);
      return;
    }
    if (waiting.length >= this.#maxWaiting) {
      throw new Failure('exhausted', 'OVERLOADED', this.#refusal, { retryAfterMs: 2000 });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = () => {
      const place = waiting.indexOf(resolve);
      // If it no longer waits, `work` is running and hears the signal itself.
      if (place < 0) return;
      waiting.splice(place, 1);
      reject(signal.reason);
    };
    waiting.push(resolve);
    signal.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  #leave(key: string): void {
    const next = this.#waiting.get(key)?.shift();
    if (next) next();
    else this.#waiting.delete(key);
  }
}
