import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Call, contextOf } from '../call.ts';
import { grpcTimeout, timeLimit } from '../deadlines.ts';
import { requestTooLarge, unreadableRequest } from '../failures.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import { headersFrom, headerText } from '../headers.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { answerToUnreadable, requestOf } from '../messages/parse-request.ts';
import type { Overdue, Place } from '../overdue.ts';
import type { Serving } from '../serving.ts';
import { holdOf } from '../stream-holds.ts';
import { type Carrier, type Sent, UnaryCall } from '../unary/unary-call.ts';
import type { ServedMethod } from '../unary/unary-methods.ts';
import { UNZIP_BYTES, type Zip } from '../unzip.ts';
import { answerMessage, answerStatus } from './answers.ts';
import { declaredBytes, isOneMessage, PREFIX_BYTES, unframed, zipOf } from './framing.ts';
import { fieldsOf } from './metadata.ts';
import { failed } from './status.ts';

const NOTHING_SENT: Sent = { header: undefined, trailer: undefined };

/** A method on the fast path, with all that its calls share. */
export type UnaryMethod = ServedMethod & {
  readonly serving: Serving;
  /** Those whose request is not complete. */
  readonly incomplete: Overdue<UnaryStream>;
};

/** One unary call on its HTTP/2 stream: one message in, one out. */
export class UnaryStream implements Carrier {
  readonly protocolName = 'grpc';
  readonly deadline: number;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #method: UnaryMethod;
  readonly #place: Place<UnaryStream>;
  readonly #call: Call;
  readonly #request: GatheredBytes;
  #unary: UnaryCall | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: string | undefined,
    method: UnaryMethod,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.#method = method;
    const named = headers['grpc-timeout'];
    const namedMs = named === undefined ? undefined : grpcTimeout(String(named));
    this.deadline = namedMs === undefined ? Infinity : Date.now() + namedMs;
    this.#call = method.serving.calls.begin((name) => headerText(headers[name]), peer, 'grpc');
    this.#call.hold = holdOf(stream);
    this.#request = new GatheredBytes(this.#call.hold);
    this.#call.timeLimitMs = timeLimit(false, namedMs);
    this.#place = method.incomplete.add(this);
    stream.on('aborted', () => this.#abandon());
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => this.#complete());
  }

  get path(): string {
    return this.#headers[':path'] ?? '';
  }

  get headers(): Headers {
    return headersFrom(this.#headers);
  }

  get #maxMessageBytes(): number {
    const { terms, serving } = this.#method;
    return terms?.maxMessageBytes ?? serving.limits.maxMessageBytes;
  }

  #take(chunk: Buffer): void {
    // The rest of a request that has been refused.
    if (this.#stream.headersSent) return;
    const maxMessageBytes = this.#maxMessageBytes;
    const request = this.#request;
    const declared = declaredBytes(request.length === 0 ? chunk : request.bytes);
    const length = request.length + chunk.length - PREFIX_BYTES;
    if (Math.max(declared, length) > maxMessageBytes) this.fail(requestTooLarge());
    else request.add(chunk, PREFIX_BYTES + declared);
  }

  /** The request has ended. One that its caller cancels also ends like this. */
  #complete(): void {
    const { incomplete } = this.#method;
    incomplete.remove(this.#place);
    if (this.#stream.aborted || this.#stream.headersSent) return;
    const request = this.#request.bytes;
    const zip = zipOf(this.#headers['grpc-encoding']);
    if (isOneMessage(request, zip)) void this.#serve(request, zip);
    else if (declaredBytes(request) > this.#maxMessageBytes) this.fail(requestTooLarge());
    else this.fail(unreadableRequest());
  }

  async #serve(request: Buffer, zip: Zip | undefined): Promise<void> {
    const { spec, invoke, terms } = this.#method;
    try {
      const bytes = zip ? this.#unzipped(request, zip) : unframed(request);
      if (!bytes) return;
      const message = requestOf(spec.method.input, bytes, terms);
      this.#unary = new UnaryCall(spec.method, message, contextOf(this.#call), this);
      const answer = await invoke(this.#unary);
      this.#answer(answerBytes(spec.method.output, answer.message), this.#unary.sent);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#unary?.end();
    }
  }

  /** Undefined if it is refused for the memory that it takes. */
  #unzipped(request: Buffer, zip: Zip): Buffer | undefined {
    const { hold } = this.#call;
    hold?.unpack(UNZIP_BYTES);
    if (this.#stream.closed) return undefined;
    const message = unframed(request, zip, this.#method.serving.limits.maxMessageBytes);
    hold?.unpack(message.length);
    return this.#stream.closed ? undefined : message;
  }

  #answer(message: Buffer, { header, trailer }: Sent): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    const own = { 'x-request-id': this.#call.requestId };
    const all = header ? { ...own, ...fieldsOf(header) } : own;
    answerMessage(stream, message, all, trailer && fieldsOf(trailer));
  }

  /** Answers with the status for anything thrown. */
  fail(thrown: unknown): void {
    const { spec, serving, incomplete } = this.#method;
    incomplete.remove(this.#place);
    const sent = this.#unary?.sent;
    const status = failed(spec.method, serving.log, this.#call, thrown, sent);
    this.#unary?.end(thrown);
    const instead = answerToUnreadable(this.#method.terms, thrown);
    if (instead) {
      this.#answer(answerBytes(spec.method.output, instead), NOTHING_SENT);
      return;
    }
    const stream = this.#stream;
    if (!stream.destroyed && !stream.headersSent) answerStatus(stream, status);
  }

  #abandon(): void {
    this.#method.incomplete.remove(this.#place);
    this.#unary?.abandon();
  }
}
