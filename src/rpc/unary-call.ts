import { create, type DescMessage, type DescMethodUnary, type Message } from '@bufbuild/protobuf';
import type {
  ContextValues,
  HandlerContext,
  Interceptor,
  MethodImplSpec,
  UnaryRequest,
  UnaryResponse,
} from '@connectrpc/connect';
import type * as grpc from '@grpc/grpc-js';
import { callOf } from './call.ts';
import { callerGone } from './errors.ts';
import { headersOf } from './grpc-metadata.ts';

export type UnarySpec = Extract<MethodImplSpec, { kind: 'unary' }>;
type AnyFn = ReturnType<Interceptor>;

/**
 * One unary call by gRPC, as interceptors see it and as the method does. Most calls ask for neither
 * their headers nor a signal, so that these are made when they are asked for: made for each call, they
 * and what they leave to collect cost more than a token check.
 */
export class UnaryCall implements UnaryRequest, HandlerContext {
  readonly stream = false;
  readonly protocolName = 'grpc';
  readonly requestMethod = 'POST';
  readonly method: DescMethodUnary;
  readonly message: Message;
  readonly values: ContextValues;
  readonly #rpc: grpc.ServerUnaryCall<unknown, unknown>;
  #header: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #abort: AbortController | undefined;
  #ended: { reason: unknown } | undefined;

  constructor(
    method: DescMethodUnary,
    message: Message,
    values: ContextValues,
    rpc: grpc.ServerUnaryCall<unknown, unknown>,
  ) {
    this.method = method;
    this.message = message;
    this.values = values;
    this.#rpc = rpc;
    // grpc-js says so of every call that is over; of one that was answered it means nothing.
    rpc.on('cancelled', () => this.#ended ?? this.end(callOf(values).answered ?? callerGone()));
  }

  get service() {
    return this.method.parent;
  }

  get url(): string {
    return `http://localhost${this.#rpc.getPath()}`;
  }

  get contextValues(): ContextValues {
    return this.values;
  }

  get header(): Headers {
    this.#header ??= headersOf(this.#rpc.metadata);
    return this.#header;
  }

  get requestHeader(): Headers {
    return this.header;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** What is to be sent along with the answer, if anything is. */
  get sent(): { header: Headers | undefined; trailer: Headers | undefined } {
    return { header: this.#responseHeader, trailer: this.#responseTrailer };
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#ended) this.#abort.abort(this.#ended.reason);
    }
    return this.#abort.signal;
  }

  timeoutMs(): number | undefined {
    const deadline = Number(this.#rpc.getDeadline());
    return Number.isFinite(deadline) ? deadline - Date.now() : undefined;
  }

  /** Tells whoever still works for the call that it is over. */
  end(reason?: unknown): void {
    this.#ended = { reason };
    this.#abort?.abort(reason);
  }
}

/** The answer to a call, whose headers are the call's. */
class UnaryAnswer implements UnaryResponse {
  readonly stream = false;
  readonly message: Message;
  readonly #call: UnaryCall;

  constructor(call: UnaryCall, message: Message) {
    this.#call = call;
    this.message = message;
  }

  get service() {
    return this.#call.service;
  }

  get method(): DescMethodUnary {
    return this.#call.method;
  }

  get header(): Headers {
    return this.#call.responseHeader;
  }

  get trailer(): Headers {
    return this.#call.responseTrailer;
  }
}

/** The method behind its interceptors, put together once and not for each call. */
export function composeUnary(
  spec: UnarySpec,
  interceptors: readonly Interceptor[],
): (call: UnaryCall) => Promise<UnaryResponse> {
  const implementation: AnyFn = async (req) => {
    // `{ ...req }` would leave out what is made when it is asked for.
    if (!(req instanceof UnaryCall)) throw new TypeError('an interceptor replaced the request');
    const message = await spec.impl(req.message, req);
    return new UnaryAnswer(req, create(spec.method.output as DescMessage, message));
  };
  const composed = interceptors.reduceRight(
    (next, interceptor) => interceptor(next),
    implementation,
  );
  return composed as (call: UnaryCall) => Promise<UnaryResponse>;
}
