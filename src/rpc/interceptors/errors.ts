import type { Interceptor } from '@connectrpc/connect';
import { callOf } from '../call.ts';
import { toConnectError } from '../errors.ts';

/**
 * Turns whatever is thrown into an error that callers may see, including what is thrown while the
 * messages of a stream are read, which is after `next` has returned.
 */
export const errors: Interceptor = (next) => async (req) => {
  const { requestId } = callOf(req.contextValues);
  try {
    const res = await next(req);
    if (!res.stream) return res;
    return { ...res, message: translated(res.message, requestId, req.signal) };
  } catch (error) {
    throw toConnectError(error, requestId, req.signal);
  }
};

async function* translated<T>(messages: AsyncIterable<T>, requestId: string, signal: AbortSignal) {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error, requestId, signal);
  }
}
