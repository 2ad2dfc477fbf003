import {
  type ConnectError,
  createContextKey,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from '@connectrpc/connect';
import { pathOf } from './access.ts';
import { requestIdOf, toConnectError } from './details.ts';
import { VerifierError } from './errors.ts';
import { Gate, type GateOptions } from './gate.ts';
import type { Principal } from './principal.ts';
import { messagesUntil, StreamEnd } from './stream-end.ts';
import type { OpenStream } from './streams.ts';
import type { Verifier } from './verifier.ts';

export { clientInterceptor } from './connect-client.ts';

type Request = UnaryRequest | StreamRequest;

export type ConnectServerOptions = GateOptions & {
  /** The address that a call comes from, for API keys that are limited to networks. */
  readonly clientAddress?: (request: Request) => string | undefined;
};

const principalKey = createContextKey<Principal | undefined>(undefined, {
  description: 'the principal of the call',
});

/** Returns the principal of a call; undefined for a public method that is called without a credential. */
export function principalOf(context: Pick<HandlerContext, 'values'>): Principal | undefined {
  return context.values.get(principalKey);
}

/**
 * Enforces the access rules of a Connect server's methods, and ends streams when their credential does,
 * also if the handler ignores its signal. Throws at once if a method has no rule. Put it before
 * interceptors that need to know who calls.
 */
export function serverInterceptor(verifier: Verifier, options: ConnectServerOptions): Interceptor {
  const gate = new Gate(verifier, options);
  return (next) => async (req) => {
    const requestId = requestIdOf(req.header.get('x-request-id'));
    try {
      const presented = { ipAddress: options.clientAddress?.(req) };
      const read = (name: string) => valuesIn(req.header, name);
      const { principal, stream } = await gate.admit(pathOf(req.method), read, presented);
      req.contextValues.set(principalKey, principal);
      if (!req.stream || !stream) return await next(req);
      const toError = (error: VerifierError) => toConnectError(error, requestId);
      return await whileItStands({ verifier, stream, toError }, req, next);
    } catch (error) {
      throw error instanceof VerifierError ? toConnectError(error, requestId) : error;
    }
  };
}

/** The values of a name that occurs twice are joined by a comma, which no credential has. */
function valuesIn(header: Headers, name: string): readonly string[] {
  const value = header.get(name);
  return value === null ? [] : [value];
}

type Standing = {
  readonly verifier: Verifier;
  readonly stream: Omit<OpenStream, 'end'>;
  readonly toError: (error: VerifierError) => ConnectError;
};

async function whileItStands(
  { verifier, stream, toError }: Standing,
  req: StreamRequest,
  next: Parameters<Interceptor>[0],
) {
  const ending = new AbortController();
  const remove = verifier.streams.add({ ...stream, end: (error) => ending.abort(toError(error)) });
  const [requests, responses] = [new StreamEnd(ending.signal), new StreamEnd(ending.signal)];
  // A handler that takes no notice of a client that has gone must not keep what is known of the stream.
  const gone = () => ending.abort(req.signal.reason);
  req.signal.addEventListener('abort', gone);
  const leave = () => {
    req.signal.removeEventListener('abort', gone);
    remove();
    requests.stop();
    responses.stop();
  };
  try {
    const message = messagesUntil(req.message, requests, () => requests.stop());
    const res = await responses.until(next({ ...req, message }));
    if (res.stream) return { ...res, message: messagesUntil(res.message, responses, leave) };
    leave();
    return res;
  } catch (error) {
    leave();
    throw error;
  }
}
