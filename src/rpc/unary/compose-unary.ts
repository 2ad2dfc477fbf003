import { create, type DescMessage, type DescMethodUnary, type Message } from '@bufbuild/protobuf';
import type { Interceptor, MethodImplSpec, UnaryResponse } from '@connectrpc/connect';
import { UnaryCall } from './unary-call.ts';

export type UnarySpec = Extract<MethodImplSpec, { kind: 'unary' }>;

/** The answer to a call. Its headers are kept by the call. */
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

/** A method behind its interceptors, composed once instead of for each call. */
export function composeUnary(
  spec: UnarySpec,
  interceptors: readonly Interceptor[],
): (call: UnaryCall) => Promise<UnaryResponse> {
  const implementation: ReturnType<Interceptor> = async (req) => {
    // `{ ...req }` would lose what is made on demand.
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
