import type { OutgoingHttpHeaders } from 'node:http';
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { EndOfTurn } from '../../platform/end-of-turn.ts';
import type { Failure } from '../../platform/failure.ts';
import { errorFields } from '../../platform/log.ts';
import { type Call, contextOf, SESSION_MODE } from '../call.ts';
import { timeLimit } from '../deadlines.ts';
import { answerOnce, isClosed } from '../door/answer-once.ts';
import type { BodyTaker } from '../door/awaited-body.ts';
import type { WholeBodies } from '../door/whole-body.ts';
import { toConnectError } from '../errors.ts';
import { headersFrom, headerText } from '../headers.ts';
import { logCall } from '../interceptors/logging.ts';
import type { Serving } from '../serving.ts';
import { holdOf } from '../stream-holds.ts';
import { type Carrier, UnaryCall } from '../unary/unary-call.ts';
import type { ServedMethod } from '../unary/unary-methods.ts';
import { unzip, unzippedBytes } from '../unzip.ts';
import type { NodeRequest, NodeResponse } from './node-request.ts';
import type { Format } from './unary-format.ts';

/** A method on the fast path, with all that its calls share. */
export type UnaryDoor = ServedMethod & {
  readonly serving: Serving;
  readonly bodies: WholeBodies;
  readonly endOfTurn: EndOfTurn;
};

/** One unary call by Connect: a request and its answer. */
export class UnaryExchange implements Carrier, BodyTaker {
  readonly protocolName = 'connect';
  readonly deadline: number;
  readonly #req: NodeRequest;
  readonly #res: NodeResponse;
  readonly #method: UnaryDoor;
  readonly #format: Format;
  readonly #call: Call;
  #unary: UnaryCall | undefined;

  constructor(req: NodeRequest, res: NodeResponse, method: UnaryDoor, format: Format) {
    this.#req = req;
    this.#res = res;
    this.#method = method;
    this.#format = format;
    const { headers } = req;
    const hold = holdOf('stream' in req ? req.stream : req);
    const peer = hold?.peer ?? req.socket.remoteAddress;
    const call = method.serving.calls.begin(
      (name) => headerText(headers[name]),
      peer,
      'connectrpc',
    );
    const named = headers['connect-timeout-ms'];
    const namedMs = named === undefined ? undefined : Number(named);
    call.hold = hold;
    call.sessionMode = headerText(headers[SESSION_MODE]);
    call.timeLimitMs = timeLimit(false, namedMs);
    this.deadline = namedMs === undefined ? Infinity : Date.now() + namedMs;
    this.#call = call;
  }

  get path(): string {
    return this.#method.path;
  }

  get headers(): Headers {
    return headersFrom(this.#req.headers);
  }

  watch(call: UnaryCall): void {
    if (isClosed(this.#res)) call.abandon();
    else this.#res.on('close', () => call.abandon());
  }

  /** Reads the request, and answers it. */
  start(): void {
    const { hold, timeLimitMs } = this.#call;
    hold?.unpack(
      unzippedBytes(headerText(this.#req.headers['content-encoding']), this.#method.serving.limits),
    );
    // It may be refused for that.
    if (isClosed(this.#res)) return;
    this.#method.bodies.read(this.#req, this, hold, timeLimitMs);
  }

  take(body: Buffer): void {
    this.#serve(body).catch((error) => this.#lose(error));
  }

  refuse(why: Failure): void {
    this.#fail(why);
  }

  async #serve(body: Buffer): Promise<void> {
    const { spec, invoke } = this.#method;
    try {
      const message = this.#format.read(spec.method, this.#unzipped(body));
      this.#unary = new UnaryCall(spec.method, message, contextOf(this.#call), this);
      const answer = await invoke(this.#unary);
      this.#answer(200, this.#format.type, this.#format.write(spec.method, answer.message));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#unary?.end();
    }
  }

  /** An answer that can't be written, such as one with an odd header. */
  #lose(error: unknown): void {
    const { log } = this.#method.serving;
    const { requestId } = this.#call;
    log.debug({ request_id: requestId, ...errorFields(error) }, 'answer not delivered');
    this.#res.destroy();
  }

  #unzipped(body: Buffer): Buffer {
    const isZipped = this.#req.headers['content-encoding'] === 'gzip' && body.length > 0;
    if (!isZipped) return body;
    return unzip('gzip', body, this.#method.serving.limits.maxMessageBytes);
  }

  /** Answers with the error for anything thrown. */
  #fail(thrown: unknown): void {
    const { spec, serving } = this.#method;
    const call = this.#call;
    const error = toConnectError(thrown, call.requestId);
    if (!call.intercepted) {
      logCall(serving.log, call, `${spec.method.parent.typeName}/${spec.method.name}`, error);
    }
    this.#unary?.end(thrown);
    const bytes = errorToJsonBytes(error, undefined);
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#answer(codeToHttpStatus(error.code), 'application/json', body, error.metadata);
  }

  #answer(status: number, type: string, body: Buffer | string, metadata?: Headers): void {
    const fields: OutgoingHttpHeaders = {
      'content-type': type,
      'x-request-id': this.#call.requestId,
    };
    const { header, trailer } = this.#unary?.sent ?? {};
    if (header) addFields(fields, header);
    if (metadata) addFields(fields, metadata);
    if (trailer) addFields(fields, trailer, 'trailer-');
    // A write wakes a caller that has nothing else to do, which costs more than a token check.
    this.#method.endOfTurn.do(() => {
      try {
        answerOnce(this.#res, { status, fields, body });
      } catch (error) {
        this.#lose(error);
      }
    });
  }
}

function addFields(fields: OutgoingHttpHeaders, headers: Headers, prefix = ''): void {
  for (const [name, value] of headers) {
    const key = `${prefix}${name}`;
    const before = fields[key];
    fields[key] =
      name === 'set-cookie' && before !== undefined ? [before, value].flat().map(String) : value;
  }
}
