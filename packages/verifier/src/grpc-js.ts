import type { Metadata, ServerInterceptor } from '@grpc/grpc-js';
import { Gate, type GateOptions } from './gate.ts';
import { GuardedCall, principalIn } from './grpc-call.ts';
import type { Principal } from './principal.ts';
import type { Verifier } from './verifier.ts';

export { clientInterceptor } from './grpc-client.ts';

export type GrpcServerOptions = GateOptions & {
  /** The address that a call comes from, for API keys that are limited to networks. Default: the peer's. */
  readonly clientAddress?: (metadata: Metadata, peer: string | undefined) => string | undefined;
};

/** Returns the principal of a call; undefined for a public method that is called without a credential. */
export function principalOf(call: { readonly metadata: Metadata }): Principal | undefined {
  return principalIn(call.metadata);
}

/**
 * Enforces the access rules of a grpc-js server's methods, and ends streams when their credential does,
 * also if the handler takes no notice of `cancelled`. Throws at once if a method has no rule. Put it first
 * among the interceptors of the server.
 */
export function serverInterceptor(
  verifier: Verifier,
  options: GrpcServerOptions,
): ServerInterceptor {
  const { clientAddress } = options;
  const guard = { gate: new Gate(verifier, options), streams: verifier.streams, clientAddress };
  return ({ path, requestStream, responseStream }, call) =>
    new GuardedCall(call, { ...guard, path, isStream: requestStream || responseStream });
}
