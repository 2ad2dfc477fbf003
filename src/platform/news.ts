import { Failure } from './failure.ts';

const RETRY_AFTER_MS = 1000;

/**
 * One of those who wait for news on this replica: it has a place among `listeners`, whose owner calls
 * them when there is some.
 */
export class NewsReader {
  readonly #listeners: Set<() => void>;
  readonly #signal: AbortSignal;
  #resume: (() => void) | undefined;

  /** Throws `OVERLOADED` where there are `max` already. Whoever makes one has it `leave`. */
  constructor(listeners: Set<() => void>, max: number, signal: AbortSignal) {
    if (listeners.size >= max) {
      throw new Failure('exhausted', 'OVERLOADED', 'too many watch this replica; try another', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    this.#listeners = listeners;
    this.#signal = signal;
    listeners.add(this.#wake);
    signal.addEventListener('abort', this.#wake);
  }

  leave(): void {
    this.#listeners.delete(this.#wake);
    this.#signal.removeEventListener('abort', this.#wake);
  }

  /** Resolves when there may be something to tell, after `ms`, or when there is nobody to tell it to. */
  async wait(ms: number): Promise<void> {
    if (this.#signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resume = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }

  readonly #wake = (): void => this.#resume?.();
}
