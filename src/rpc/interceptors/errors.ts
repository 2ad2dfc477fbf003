import type { Interceptor } from '@connectrpc/connect';
import { callOf } from '../call.ts';
import { toConnectError } from '../errors.ts';
import { type RateStatus, rateHeaders } from '../rate-headers.ts';

/**
 * Turns whatever is thrown into an error that callers may see, including what is thrown while the
 * messages of a stream are read, which is after `next` has returned. Both errors and answers tell what is
 * left of the limits that count the call.
 */
export const errors: Interceptor = (next) => async (req) => {
  const call = callOf(req.contextValues);
  const { requestId } = call;
  try {
    const res = await next(req);
    if (call.rateLimits) tell(res.header, call.rateLimits);
    if (!res.stream) return res;
    return { ...res, message: translated(res.message, requestId, req.signal) };
  } catch (error) {
    const failed = toConnectError(error, requestId, req.signal);
    if (call.rateLimits) tell(failed.metadata, call.rateLimits);
    throw failed;
  }
};

function tell(headers: Headers, limits: readonly RateStatus[]): void {
  for (const [name, value] of rateHeaders(limits)) headers.set(name, value);
}

async function* translated<T>(messages: AsyncIterable<T>, requestId: string, signal: AbortSignal) {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error, requestId, signal);
  }
}
