import { Failure } from './failure.ts';

const RETRY_AFTER_MS = 1000;

/**
 * A reader that waits for news on this replica: it is one of `listeners`, whose owner calls them when
 * there is news.
 */
export class NewsReader {
  readonly #listeners: Set<() => void>;
  readonly #signal: AbortSignal;
  #resume: (() => void) | undefined;

  /** Throws `OVERLOADED` if there are `max` readers already. The creator must call `leave`. */
  constructor(listeners: Set<() => void>, max: number, signal: AbortSignal) {
    if (listeners.size >= max) {
      throw new Failure(
        'exhausted',
        'OVERLOADED',
        'this replica has too many readers; try another one',
        {
          retryAfterMs: RETRY_AFTER_MS,
        },
      );
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

  /** Resolves when there may be news, after `ms`, or when the signal fires. */
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
