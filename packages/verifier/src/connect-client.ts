import { ConnectError, type Interceptor } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../gen/google/rpc/error_details_pb.ts';
import { saysExpired } from './details.ts';
import type { Tokens } from './token-source.ts';

/**
 * Attaches an access token to each call. A unary call that is refused with TOKEN_EXPIRED is made once more
 * with another token; a stream is not, since its messages may have been taken. Waiting for a token counts
 * against the deadline of the call.
 */
export function clientInterceptor(tokens: Tokens): Interceptor {
  return (next) => async (req) => {
    const token = await tokens.get(req.signal);
    req.header.set('authorization', `Bearer ${token}`);
    const note = (error: unknown): boolean => {
      const isExpired = saysExpired(ConnectError.from(error).findDetails(ErrorInfoSchema));
      if (isExpired) tokens.expire(token);
      return isExpired;
    };
    try {
      const res = await next(req);
      return res.stream ? { ...res, message: noting(res.message, note) } : res;
    } catch (error) {
      if (!note(error) || req.stream) throw error;
      req.header.set('authorization', `Bearer ${await tokens.get(req.signal)}`);
      return next(req);
    }
  };
}

async function* noting<T>(messages: AsyncIterable<T>, note: (error: unknown) => unknown) {
  try {
    yield* messages;
  } catch (error) {
    note(error);
    throw error;
  }
}
