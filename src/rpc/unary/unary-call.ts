import type { DescMethodUnary, Message } from '@bufbuild/protobuf';
import type { ContextValues, HandlerContext, UnaryRequest } from '@connectrpc/connect';
import { callOf } from '../call.ts';
import { callerGone } from '../failures.ts';

/** What a method sends in addition to its messages. */
export type Sent = { readonly header: Headers | undefined; readonly trailer: Headers | undefined };

/** What a unary call arrived by, with what is known there. */
export type Carrier = {
  readonly protocolName: 'grpc' | 'connect';
  /** `/package.Service/Method` */
  readonly path: string;
  /** When its caller will give up, in milliseconds since 1970; `Infinity` for never. */
  readonly deadline: number;
  /** The headers of the request. */
  readonly headers: Headers;
  /** Asked when work begins to listen: from then on, `abandon` is called when the caller goes away. */
  watch?(call: UnaryCall): void;
};

/** Made once: without a reason, each signal would make an exception of its own. */
const OVER = new DOMException('the call is over', 'AbortError');

/**
 * One unary call, as interceptors and the method see it. Most calls need neither their headers
 * nor a signal, which are therefore made on demand: to make them for each call, and to collect them
 * later, costs more than a token check.
 */
export class UnaryCall implements UnaryRequest, HandlerContext {
  readonly stream = false;
  readonly requestMethod = 'POST';
  readonly method: DescMethodUnary;
  readonly values: ContextValues;
  readonly #carrier: Carrier;
  #message: Message | undefined;
  readonly #read: (() => Message) | undefined;
  #header: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #abort: AbortController | undefined;
  #ended: { reason: unknown } | undefined;

  /** `message` may be a function that reads it, which is called when somebody asks for it. */
  constructor(
    method: DescMethodUnary,
    message: Message | (() => Message),
    values: ContextValues,
    carrier: Carrier,
  ) {
    this.method = method;
    if (typeof message === 'function') this.#read = message;
    else this.#message = message;
    this.values = values;
    this.#carrier = carrier;
  }

  get message(): Message {
    this.#message ??= this.#read?.() as Message;
    return this.#message;
  }

  get protocolName(): string {
    return this.#carrier.protocolName;
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

  /** The headers and trailers to send with the answer, if there are any. */
  get sent(): Sent {
    return { header: this.#responseHeader, trailer: this.#responseTrailer };
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#ended) this.#abort.abort(this.#ended.reason);
      else this.#carrier.watch?.(this);
    }
    return this.#abort.signal;
  }

  timeoutMs(): number | undefined {
    const { deadline } = this.#carrier;
    return Number.isFinite(deadline) ? deadline - Date.now() : undefined;
  }

  /** The caller has gone away, which matters only until the call is over. */
  abandon(): void {
    if (!this.#ended) this.end(callOf(this.values).answered ?? callerGone());
  }

  /** Tells any work still running for the call that it is over. */
  end(reason: unknown = OVER): void {
    this.#ended = { reason };
    this.#abort?.abort(reason);
  }
}
