import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import {
  Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import { detailsOf, requestIdOf } from './details.ts';
import { VerifierError } from './errors.ts';
import { type Admitted, Gate, type GateOptions } from './gate.ts';
import { plainAddress } from './http-request.ts';
import type { Principal } from './principal.ts';
import type { Verifier } from './verifier.ts';

export { clientInterceptor } from './grpc-client.ts';

export type GrpcServerOptions = GateOptions & {
  /** The address that a call comes from, for API keys that are limited to networks. Default: the peer's. */
  readonly clientAddress?: (metadata: Metadata, peer: string | undefined) => string | undefined;
};

/**
 * On the metadata of a call, which is all that a handler shares with an interceptor: a `WeakMap` would
 * cost every call more.
 */
const PRINCIPAL = Symbol('principal');
type Marked = Metadata & { [PRINCIPAL]?: Principal };

/** Returns the principal of a call; undefined for a public method that is called without a credential. */
export function principalOf(call: { readonly metadata: Metadata }): Principal | undefined {
  return (call.metadata as Marked)[PRINCIPAL];
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
  const gate = new Gate(verifier, options);
  const { clientAddress } = options;
  return ({ path, requestStream, responseStream }, call) => {
    const guarded = new GuardedCall(call);
    const isStream = requestStream || responseStream;
    const enter = ({ principal, stream }: Admitted, metadata: Metadata, next: () => void) => {
      if (guarded.isOver) return;
      if (principal) (metadata as Marked)[PRINCIPAL] = principal;
      if (isStream && stream) {
        const end = (error: VerifierError) => guarded.refuse(error, metadata);
        guarded.leave = verifier.streams.add({ ...stream, end });
      }
      next();
    };
    return guarded.intercepted((metadata, next) => {
      const peer = plainAddress(call.getConnectionInfo().remoteAddress);
      const ipAddress = clientAddress ? clientAddress(metadata, peer) : peer;
      const read = (name: string) => metadata.get(name).map(String);
      const refuse = (error: unknown) => guarded.refuse(error, metadata);
      try {
        const admitted = gate.admit(path, read, { ipAddress });
        if ('then' in admitted) admitted.then((it) => enter(it, metadata, next)).catch(refuse);
        else enter(admitted, metadata, next);
      } catch (error) {
        refuse(error);
      }
    });
  };
}

/** A call that can be ended at any moment, after which its handler sends nothing more. */
class GuardedCall {
  isOver = false;
  /** Runs when the call ends by itself. */
  leave: () => void = () => {};
  readonly #call: ServerInterceptingCallInterface;

  constructor(call: ServerInterceptingCallInterface) {
    this.#call = call;
  }

  intercepted(onMetadata: (metadata: Metadata, next: () => void) => void): ServerInterceptingCall {
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => onMetadata(metadata, () => next(metadata)))
      .withOnCancel(() => this.#over())
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendMetadata((metadata, next) => {
        if (!this.isOver) next(metadata);
      })
      .withSendMessage((message, next) => {
        if (!this.isOver) next(message);
      })
      .withSendStatus((status, next) => {
        if (this.isOver) return;
        this.#over();
        next(status);
      })
      .build();
    return new ServerInterceptingCall(this.#call, responder);
  }

  refuse(error: unknown, metadata: Metadata): void {
    if (this.isOver) return;
    this.#over();
    const [header] = metadata.get('x-request-id');
    const requestId = requestIdOf(typeof header === 'string' ? header : undefined);
    this.#call.sendStatus(statusOf(error, requestId));
  }

  #over(): void {
    this.isOver = true;
    this.leave();
  }
}

const INTERNAL = 13;

function statusOf(error: unknown, requestId: string) {
  if (!(error instanceof VerifierError)) {
    return { code: INTERNAL, details: 'internal error', metadata: null };
  }
  const { code, message } = error;
  const details = detailsOf(error, requestId).map(({ desc, value }) => packed(desc, value));
  const metadata = new Metadata();
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return { code: code as number, details: message, metadata };
}

function packed(desc: DescMessage, value: object): Any {
  return anyPack(desc, create(desc, { ...value }));
}
