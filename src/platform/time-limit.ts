import { unavailable } from './failure.ts';

/**
 * Runs `work` on the database and settles like it, but rejects if `limitMs` passes (0: no limit) or
 * `signal` fires: a frozen database must not freeze its callers. `work` gets a signal that fires then;
 * work left behind ends by its own timeouts.
 *
 * Throws `unavailable` for the time limit, and the reason of `signal`.
 */
export async function withinTimeLimit<T>(
  limitMs: number,
  signal: AbortSignal | undefined,
  work: (expired: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const expiry = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const expire = (reason: unknown) => {
    expiry.abort(reason);
    reject(reason);
  };
  const onAbort = () => expire(signal?.reason);
  const timer =
    limitMs > 0 ? setTimeout(() => expire(unavailable('the database')), limitMs) : undefined;
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const running = work(expiry.signal);
    running.catch(() => {});
    return await Promise.race([running, expired]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
