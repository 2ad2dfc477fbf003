import { create, type DescMessage, type DescMethodUnary, type Message } from '@bufbuild/protobuf';
import type {
  ContextValues,
  HandlerContext,
  Interceptor,
  MethodImplSpec,
  UnaryRequest,
  UnaryResponse,
} from '@connectrpc/connect';
import { callOf } from '../call.ts';
import { callerGone } from '../errors.ts';

export type UnarySpec = Extract<MethodImplSpec, { kind: 'unary' }>;
type AnyFn = ReturnType<Interceptor>;

/** What a unary call came by, and what it knows of it. */
export type Carrier = {
  /** `/package.Service/Method` */
  readonly path: string;
  /** When its caller gives it up, in milliseconds since 1970; `Infinity` for never. */
  readonly deadline: number;
  /** What its caller sent along. */
  readonly headers: Headers;
};

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
  readonly #carrier: Carrier;
  #header: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #abort: AbortController | undefined;
  #ended: { reason: unknown } | undefined;

  constructor(method: DescMethodUnary, message: Message, values: ContextValues, carrier: Carrier) {
    this.method = method;
    this.message = message;
    this.values = values;
    this.#carrier = carrier;
  }

  get service() {
    return this.method.parent;
  }

  get url(): string {
    return `http://localhost${this.#carrier.path}`;
  }

  get contextValues(): ContextValues {
    return this.values;
  }

  get header(): Headers {
    this.#header ??= this.#carrier.headers;
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
    const { deadline } = this.#carrier;
    return Number.isFinite(deadline) ? deadline - Date.now() : undefined;
  }

  /** Tells of a caller who went away. Of a call that is over it means nothing. */
  abandon(): void {
    if (!this.#ended) this.end(callOf(this.values).answered ?? callerGone());
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
