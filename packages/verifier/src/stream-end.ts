/** Rejects what a stream waits for once a signal fires. */
export class StreamEnd {
  readonly #signal: AbortSignal;
  #reject: ((reason: unknown) => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onEnd);
  }

  /** Without `Promise.race`, which would keep something of every message until the stream ends. */
  until<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      work.then(resolve, reject);
      if (this.#signal.aborted) this.#onEnd();
    });
  }

  stop(): void {
    this.#signal.removeEventListener('abort', this.#onEnd);
  }

  readonly #onEnd = (): void => this.#reject?.(this.#signal.reason);
}

/** The messages of a stream until it is ended. `done` runs when there are no more. */
export async function* messagesUntil<T>(
  messages: AsyncIterable<T>,
  end: StreamEnd,
  done: () => void,
): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await end.until(iterator.next());
      if (result.done) return;
      yield result.value;
    }
  } finally {
    done();
    // Not awaited: whatever the iterator still waits for must hold up nobody.
    iterator.return?.().catch(() => {});
  }
}
