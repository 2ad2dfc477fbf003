import { ConnectError, type Interceptor } from '@connectrpc/connect';
import { deadlineExceeded } from '../errors.ts';

/** For callers who name none. */
const DEFAULT_DEADLINE_MS = 30_000;

/**
 * Answers when the caller's deadline has passed, whatever the work is waiting for; the work sees the
 * same signal and stops. Streams end when their caller goes, and have no default.
 */
export const deadline: Interceptor = (next) => async (req) => {
  if (req.stream) return next(req);
  const { promise: over, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(ConnectError.from(req.signal.reason));
  if (req.signal.aborted) onAbort();
  req.signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => reject(deadlineExceeded()), DEFAULT_DEADLINE_MS);
  try {
    const answer = next(req);
    // Whichever loses the race may still fail, with nobody left to hear of it.
    answer.catch(() => {});
    return await Promise.race([answer, over]);
  } finally {
    clearTimeout(timer);
    req.signal.removeEventListener('abort', onAbort);
  }
};
