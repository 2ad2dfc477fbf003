/** Something that ends a stream: why, once `signal` fires. */
export type StreamEnd = { signal: AbortSignal; reason: () => unknown };

/** Rejects what a stream waits for once something ends it. */
export class StreamWatch {
  readonly #ends: readonly StreamEnd[];
  #reject: ((reason: unknown) => void) | undefined;

  /** Of several that have fired, the first one says why. */
  constructor(ends: readonly StreamEnd[]) {
    this.#ends = ends;
    for (const { signal } of ends) signal.addEventListener('abort', this.#onEnd);
  }

  /** Without `Promise.race`, which would keep something of every message until the stream ends. */
  until<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      work.then(resolve, reject);
      this.#onEnd();
    });
  }

  stop(): void {
    for (const { signal } of this.#ends) signal.removeEventListener('abort', this.#onEnd);
  }

  readonly #onEnd = (): void => {
    const end = this.#ends.find(({ signal }) => signal.aborted);
    if (end) this.#reject?.(end.reason());
  };
}

/** The messages of a stream until something ends it. `done` runs when there are no more. */
export async function* messagesUntil<T>(
  messages: AsyncIterable<T>,
  watch: StreamWatch,
  done: () => void,
): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await watch.until(iterator.next());
      if (result.done) return;
      yield result.value;
    }
  } finally {
    done();
    // Not awaited: the caller must not wait for whatever the iterator still waits for.
    void iterator.return?.();
  }
}
