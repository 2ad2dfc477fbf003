import type { Interceptor } from '@connectrpc/connect';
import { shuttingDown } from '../errors.ts';

/**
 * Ends streams when the replica stops, so that their callers go to another one; unary calls are left
 * to finish (W04).
 */
export function shutdown(stopping: AbortSignal): Interceptor {
  return (next) => async (req) => {
    const res = await next(req);
    if (!res.stream) return res;
    return { ...res, message: until(res.message, stopping) };
  };
}

async function* until<T>(messages: AsyncIterable<T>, stopping: AbortSignal): AsyncGenerator<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  stopped.catch(() => {});
  const onStop = () => reject(shuttingDown());
  if (stopping.aborted) onStop();
  stopping.addEventListener('abort', onStop, { once: true });
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await Promise.race([iterator.next(), stopped]);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    stopping.removeEventListener('abort', onStop);
    // Not awaited: it ends when what it waits for does, and the caller is not to wait for that.
    void iterator.return?.();
  }
}
