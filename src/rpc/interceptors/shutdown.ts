import type { Interceptor } from '@connectrpc/connect';
import { shuttingDown } from '../failures.ts';
import { messagesUntil, StreamWatch } from './stream-watch.ts';

/**
 * Ends streams when their deadline passes, when their caller goes away, and when the replica stops, so
 * that their callers move to another one. Unary calls may finish (W04).
 */
export function shutdown(stopping: AbortSignal): Interceptor {
  const watched: Interceptor = (next) => async (req) => {
    const { signal } = req;
    const watch = new StreamWatch([
      { signal, reason: () => signal.reason },
      { signal: stopping, reason: shuttingDown },
    ]);
    try {
      // A method that streams only its request has done all its work when this resolves.
      const res = await watch.until(next(req));
      if (res.stream) {
        return { ...res, message: messagesUntil(res.message, watch, () => watch.stop()) };
      }
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
