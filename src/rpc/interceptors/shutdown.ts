import type { Interceptor } from '@connectrpc/connect';
import { shuttingDown } from '../failures.ts';

/**
 * Ends streams when their deadline passes, when their caller goes away, and when the replica stops, so
 * that their callers move to another one. Unary calls may finish (W04).
 */
export function shutdown(stopping: AbortSignal): Interceptor {
  const watched: Interceptor = (next) => async (req) => {
    const watch = new Watch(req.signal, stopping);
    try {
      // A method that streams only its request has done all its work when this resolves.
      const res = await watch.until(next(req));
      if (res.stream) return { ...res, message: messagesUntil(res.message, watch) };
      watch.stop();
      return res;
    } catch (error) {
      watch.stop();
      throw error;
    }
  };
  return (next) => {
    const stream = watched(next);
    return (req) => (req.stream ? stream(req) : next(req));
  };
}

async function* messagesUntil<T>(messages: AsyncIterable<T>, watch: Watch): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await watch.until(iterator.next());
      if (result.done) return;
      yield result.value;
    }
  } finally {
    watch.stop();
    // Not awaited: the caller must not wait for whatever the iterator still waits for.
    void iterator.return?.();
  }
}

/** Rejects what a stream waits for once the stream is over. */
class Watch {
  readonly #call: AbortSignal;
  readonly #stopping: AbortSignal;
  #reject: ((reason: unknown) => void) | undefined;

  constructor(call: AbortSignal, stopping: AbortSignal) {
    this.#call = call;
    this.#stopping = stopping;
    call.addEventListener('abort', this.#onEnd);
    stopping.addEventListener('abort', this.#onEnd);
  }

  /** Without `Promise.race`, which would keep something of every message until the stream ends. */
  until<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      work.then(resolve, reject);
      if (this.#call.aborted || this.#stopping.aborted) this.#onEnd();
    });
  }

  stop(): void {
    this.#call.removeEventListener('abort', this.#onEnd);
    this.#stopping.removeEventListener('abort', this.#onEnd);
  }

  readonly #onEnd = (): void => {
    this.#reject?.(this.#call.aborted ? this.#call.reason : shuttingDown());
  };
}
