import { Failure } from './failure.ts';

/** Some of the waiting tasks may have left: those are passed over. */
type Waiter = { go: () => void; isGone: boolean };
type Use = { running: number; waiting: Waiter[] };

/**
 * Lets each key run so many tasks at once: the others with that key wait in order of arrival, for a
 * limited time, and hold up nobody else.
 */
export class Shares {
  readonly #share: number;
  readonly #waitMs: number;
  readonly #refusal: string;
  readonly #uses = new Map<string, Use>();

  constructor(share: number, waitMs: number, refusal: string) {
    this.#share = share;
    this.#waitMs = waitMs;
    this.#refusal = refusal;
  }

  /** Throws `OVERLOADED` if no task ends in time, and the reason of `signal` if that fires first. */
  async run<T>(key: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    const use = this.#uses.get(key) ?? { running: 0, waiting: [] };
    this.#uses.set(key, use);
    if (use.running < this.#share) use.running += 1;
    else await this.#wait(use, signal);
    try {
      return await task();
    } finally {
      this.#leave(key, use);
    }
  }

  async #wait({ waiting }: Use, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { go: resolve, isGone: false };
    const giveUp = (reason: unknown) => {
      waiter.isGone = true;
      reject(reason);
    };
    const abort = () => giveUp(signal?.reason);
    const timer = setTimeout(() => giveUp(this.#overloaded()), this.#waitMs);
    signal?.addEventListener('abort', abort, { once: true });
    waiting.push(waiter);
    await promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  }

  /** Hands the place on, or gives it back. */
  #leave(key: string, use: Use): void {
    for (let next = use.waiting.shift(); next; next = use.waiting.shift()) {
      if (next.isGone) continue;
      // From here on its timer and its signal change nothing: it has the place.
      next.go();
      return;
    }
    use.running -= 1;
    if (use.running === 0) this.#uses.delete(key);
  }

  #overloaded(): Failure {
    return new Failure('exhausted', 'OVERLOADED', this.#refusal, { retryAfterMs: 1000 });
  }
}
