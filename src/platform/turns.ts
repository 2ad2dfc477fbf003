import { Failure } from './failure.ts';

/**
 * Lets those who come with one key work one after the other, in the order in which they came. So many
 * may wait for each key; whoever comes on top of them is refused as `OVERLOADED`, with the message
 * `refusal`.
 */
export class Turns {
  readonly #maxWaiting: number;
  readonly #refusal: string;
  /** For each key that has somebody at work: how to call those who wait. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(maxWaiting: number, refusal: string) {
    this.#maxWaiting = maxWaiting;
    this.#refusal = refusal;
  }

  /** Runs `work` when its turn has come. Throws the reason of `signal` if that fires before. */
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
      // Without a place its turn has come, and `work` hears of the signal.
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
