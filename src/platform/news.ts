import type { Caller } from './caller.ts';
import { Failure } from './failure.ts';
import { networkOf } from './net.ts';

const RETRY_AFTER_MS = 1000;

/**
 * What to call when there is news, and who waits for it: a subject, or the network of a caller without a
 * credential.
 */
export type NewsListeners = Map<() => void, string>;

/** How many readers there may be at once, and what share of them one caller may have. */
export type Places = { max: number; share: number };

/**
 * A reader that waits for news on this replica: it is one of `listeners`, whose owner calls them when
 * there is news.
 */
export class NewsReader {
  readonly #listeners: NewsListeners;
  readonly #signal: AbortSignal;
  #resume: (() => void) | undefined;

  /**
   * Throws `OVERLOADED` if all places are taken, or the caller has its share of them: nobody keeps all
   * others out. The creator must call `leave`.
   */
  constructor(
    listeners: NewsListeners,
    { max, share }: Places,
    { subject, ipAddress, signal }: Pick<Caller, 'subject' | 'ipAddress' | 'signal'>,
  ) {
    const holder = subject || networkOf(ipAddress);
    if (listeners.size >= max) {
      throw overloaded('this replica has too many readers; try another one');
    }
    const held = [...listeners.values()].filter((each) => each === holder).length;
    if (held >= Math.max(1, Math.floor(max * share))) {
      throw overloaded(
        'you have too many readers on this replica; end one, or try another replica',
      );
    }
    this.#listeners = listeners;
    this.#signal = signal;
    listeners.set(this.#wake, holder);
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

function overloaded(message: string): Failure {
  return new Failure('exhausted', 'OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS });
}
