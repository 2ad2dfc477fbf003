import type { Interceptor } from '@connectrpc/connect';
import { shuttingDown } from '../errors.ts';

/**
 * Ends streams when their deadline has passed, when their caller has gone, and when the replica stops,
 * so that their callers go to another one. Unary calls are left to finish (W04).
 */
export function shutdown(stopping: AbortSignal): Interceptor {
  const watched: Interceptor = (next) => async (req) => {
    const watch = new Watch(req.signal, stopping);
    try {
      // A method that streams only its request does all its work before this resolves.
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
    // Not awaited: it ends when what it waits for does, and the caller is not to wait for that.
    void iterator.return?.();
  }
}

/** Says when a stream is over, whatever it is waiting for. */
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

  /** Not by `Promise.race`, which would keep something of every message until the stream ends. */
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
