import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { createMethodImplSpec, type Interceptor } from '@connectrpc/connect';
import type { CallLog } from '../../platform/log.ts';
import { type Call, type CallFactory, contextOf } from '../call.ts';
import { grpcTimeout, timeLimit } from '../deadlines.ts';
import { deadlineExceeded } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { parseRequest, requestTooLarge, unreadableRequest } from '../request.ts';
import type { Service } from '../services/service.ts';
import { Overdue, type Place } from './overdue.ts';
import { failed } from './status.ts';
import { type Carrier, composeUnary, UnaryCall, type UnarySpec } from './unary-call.ts';

/** A byte that says whether the message is compressed, and four that say how long it is. */
const PREFIX_BYTES = 5;
const PLAIN_TYPES = new Set(['application/grpc', 'application/grpc+proto']);
/** As grpc-js announces what it reads, which is what compressed calls come to. */
const ANSWER = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': 'identity,deflate,gzip',
};
const OK = { 'grpc-status': '0', 'grpc-message': '' };

export type UnaryDeps = {
  interceptors: readonly Interceptor[];
  calls: CallFactory;
  log: CallLog;
  limits: Pick<Limits, 'maxMessageBytes' | 'bodyTimeoutMs'>;
};

type Method = { spec: UnarySpec; invoke: ReturnType<typeof composeUnary> };

/**
 * The one hot path: unary calls by gRPC over HTTP/2, served on node:http2 itself. To grpc-js a call is
 * a stream of messages in both directions behind four layers of listeners, which costs as much as all
 * that we do for a token check. What is not plain (compressed, another content type, an odd timeout)
 * is left to it. The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class UnaryStreams {
  readonly #methods = new Map<string, Method>();
  readonly #deps: UnaryDeps;
  readonly #incomplete: Overdue<UnaryStream>;

  constructor(services: readonly Service[], deps: UnaryDeps) {
    this.#deps = deps;
    this.#incomplete = new Overdue(deps.limits.bodyTimeoutMs, (late) =>
      late.fail(deadlineExceeded()),
    );
    for (const { descriptor, implementation } of services) {
      for (const method of descriptor.methods) {
        const spec = createMethodImplSpec(method, implementation[method.localName] as never);
        if (spec.kind !== 'unary') continue;
        const invoke = composeUnary(spec, deps.interceptors);
        this.#methods.set(`/${descriptor.typeName}/${method.name}`, { spec, invoke });
      }
    }
  }

  /** Takes a call if it is unary and plain. Says whether it did. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string | undefined): boolean {
    const method = this.#methods.get(headers[':path'] ?? '');
    if (!method || !isPlain(headers)) return false;
    new UnaryStream(stream, headers, peer, method, this.#deps, this.#incomplete);
    return true;
  }
}

function isPlain(headers: IncomingHttpHeaders): boolean {
  const timeout = headers['grpc-timeout'];
  return (
    headers[':method'] === 'POST' &&
    PLAIN_TYPES.has(headers['content-type'] ?? '') &&
    (headers['grpc-encoding'] ?? 'identity') === 'identity' &&
    (timeout === undefined || grpcTimeout(String(timeout)) !== undefined)
  );
}

class UnaryStream implements Carrier {
  readonly deadline: number;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #method: Method;
  readonly #deps: UnaryDeps;
  readonly #incomplete: Overdue<UnaryStream>;
  readonly #place: Place<UnaryStream>;
  readonly #call: Call;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #unary: UnaryCall | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: string | undefined,
    method: Method,
    deps: UnaryDeps,
    incomplete: Overdue<UnaryStream>,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.#method = method;
    this.#deps = deps;
    this.#incomplete = incomplete;
    const named = headers['grpc-timeout'];
    const namedMs = named === undefined ? undefined : grpcTimeout(String(named));
    this.deadline = namedMs === undefined ? Infinity : Date.now() + namedMs;
    this.#call = deps.calls.begin((name) => text(headers[name]), peer);
    this.#call.timeLimitMs = timeLimit(false, namedMs);
    this.#place = incomplete.add(this);
    stream.on('error', ignore);
    stream.on('aborted', () => this.#abandon());
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => this.#complete());
  }

  get path(): string {
    return this.#headers[':path'] ?? '';
  }

  get headers(): Headers {
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.#headers)) {
      if (name.startsWith(':')) continue;
      for (const each of [value].flat()) headers.append(name, String(each));
    }
    return headers;
  }

  #take(chunk: Buffer): void {
    // The rest of a request that has been refused.
    if (this.#stream.headersSent) return;
    const declared = this.#bytes === 0 ? declaredBytes(chunk) : 0;
    // Put together once, at the end: for each of many small frames it would be quadratic work.
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const { maxMessageBytes } = this.#deps.limits;
    const isLarger = Math.max(declared, this.#bytes - PREFIX_BYTES) > maxMessageBytes;
    if (isLarger) this.fail(requestTooLarge());
  }

  /** The caller has nothing more to say. A request that it took back ends like this too. */
  #complete(): void {
    this.#incomplete.remove(this.#place);
    if (this.#stream.aborted || this.#stream.headersSent) return;
    const [first = Buffer.alloc(0), ...more] = this.#chunks;
    const request = more.length === 0 ? first : Buffer.concat(this.#chunks);
    const declared = declaredBytes(request);
    const isOneMessage = request[0] === 0 && request.length === PREFIX_BYTES + declared;
    if (isOneMessage) void this.#serve(request.subarray(PREFIX_BYTES));
    else if (declared > this.#deps.limits.maxMessageBytes) this.fail(requestTooLarge());
    else this.fail(unreadableRequest());
  }

  async #serve(request: Buffer): Promise<void> {
    const { spec, invoke } = this.#method;
    try {
      const message = parseRequest(spec.method.input, request);
      this.#unary = new UnaryCall(spec.method, message, contextOf(this.#call), this);
      const answer = await invoke(this.#unary);
      this.#answer(answerBytes(spec.method.output, answer.message), this.#unary.sent);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#unary?.end();
    }
  }

  #answer(message: Buffer, { header, trailer }: UnaryCall['sent']): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    const body = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    body[0] = 0;
    body.writeUInt32BE(message.length, 1);
    message.copy(body, PREFIX_BYTES);
    const headers = { ...ANSWER, 'x-request-id': this.#call.requestId };
    stream.respond(header ? { ...headers, ...plain(header) } : headers, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers(trailer ? { ...plain(trailer), ...OK } : OK);
    });
    stream.end(body);
  }

  /** Answers with a status alone: "Trailers-Only" in the words of the protocol. */
  fail(thrown: unknown): void {
    this.#incomplete.remove(this.#place);
    const { code, details, metadata } = failed(
      this.#method.spec.method,
      this.#deps.log,
      this.#call,
      thrown,
    );
    this.#unary?.end(thrown);
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    stream.respond(
      {
        ...metadata.toHttp2Headers(),
        ...ANSWER,
        'grpc-status': code,
        'grpc-message': encodeURI(details),
      },
      { endStream: true },
    );
  }

  #abandon(): void {
    this.#incomplete.remove(this.#place);
    this.#unary?.abandon();
  }
}

/** How long a message says that it is; 0 where its prefix is not all there. */
function declaredBytes(request: Buffer): number {
  return request.length < PREFIX_BYTES ? 0 : request.readUInt32BE(1);
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Headers as node:http2 takes them. Binary ones are in base64 here and there. */
function plain(headers: Headers): OutgoingHttpHeaders {
  return Object.fromEntries(headers);
}

/** What breaks a stream also closes it, and that is what counts. */
function ignore(): void {}
