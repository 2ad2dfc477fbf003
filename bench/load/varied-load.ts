import { connect, type Socket } from 'node:net';
import { PREFIX_BYTES } from './grpc-framing.ts';
import {
  ACK,
  CallHeaders,
  END_STREAM,
  FRAME,
  type Frame,
  FrameReader,
  frame,
  PREFACE,
  windowUpdate,
} from './http2-frames.ts';

const WIDTH = { connections: 8, streams: 16 };
const FIRST_WINDOW = 65_535;
/** How many bytes may arrive before the server gets a new window. */
const WINDOW_UPDATE_BYTES = 16_384;

export type VariedLoad = {
  /** `127.0.0.1:50051`, and `/countersign.v1.SessionService/IntrospectToken`. */
  address: string;
  path: string;
  /** Returns the next call, or undefined if there are no more. */
  next(): Call | Promise<Call>;
  /** The length of each answer's message, within a few bytes. */
  responseBytes: number;
  /** Takes the message of each answer, without its prefix, if the next calls depend on it. */
  received?(message: Buffer): void;
  /** The number of connections, and of concurrent calls on each. */
  width?: { connections: number; streams: number };
};

/** A message as `framed` makes it, and what the call's `authorization` is, if it has one. */
type Call = Buffer | { body: Buffer; authorization: string } | undefined;

/**
 * Sends calls of one method, each with a message of its own (h2load has only one), by default on 8
 * connections with 16 concurrent calls each. It handles only the frames that it needs: node:http2 would cost as much as
 * the server. Returns the number of answers, and how many came per second.
 *
 * Throws if the bytes of the answers do not match their number: an error has no message.
 */
export async function sendVaried(load: VariedLoad): Promise<{ calls: number; perSecond: number }> {
  const { connections: count } = load.width ?? WIDTH;
  const connections = Array.from({ length: count }, () => new Connection(load));
  const startedAt = performance.now();
  try {
    const answered = await Promise.all(connections.map((connection) => connection.run()));
    const calls = answered.reduce((sum, each) => sum + each, 0);
    return { calls, perSecond: calls / ((performance.now() - startedAt) / 1000) };
  } finally {
    for (const connection of connections) connection.close();
  }
}

class Connection {
  readonly #load: VariedLoad;
  readonly #streams: number;
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  readonly #headers: CallHeaders;
  readonly #done = Promise.withResolvers<number>();
  readonly #out: Buffer[] = [];
  #stream = 1;
  #sent = 0;
  #answered = 0;
  #receivedBytes = 0;
  #unacknowledgedBytes = 0;
  #window = FIRST_WINDOW;
  #isFilling = false;
  #isLast = false;
  /** What has arrived of the answers that `received` takes, by stream. */
  readonly #arriving = new Map<number, Buffer>();
  /** The message that the server's window has no room for yet. */
  #waiting: Call;

  constructor(load: VariedLoad) {
    this.#load = load;
    this.#streams = (load.width ?? WIDTH).streams;
    this.#headers = new CallHeaders(load.address, load.path);
    const { hostname, port } = new URL(`http://${load.address}`);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const fail = (error: Error) => this.#done.reject(error);
    this.#socket.on('error', fail);
    this.#socket.on('close', () => fail(new Error('the server closed a connection')));
    this.#socket.on('data', (chunk: Buffer) => {
      for (const each of this.#frames.read(chunk)) this.#take(each);
      this.#fill().catch(fail);
    });
  }

  run(): Promise<number> {
    this.#out.push(PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
    this.#fill().catch((error) => this.#done.reject(error));
    return this.#done.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Sends calls until the intended number is running. */
  async #fill(): Promise<void> {
    if (this.#isFilling) return this.#flush();
    this.#isFilling = true;
    while (!this.#isLast && this.#sent - this.#answered < this.#streams) {
      const next = this.#waiting ?? this.#load.next();
      if (next instanceof Promise) this.#flush();
      const call = next instanceof Promise ? await next : next;
      this.#isLast = call === undefined;
      this.#waiting = call;
      if (call === undefined || !this.#send(call)) break;
      this.#waiting = undefined;
    }
    this.#isFilling = false;
    this.#flush();
    if (this.#isLast && this.#sent === this.#answered) this.#finish();
  }

  /** Returns whether the server's window has room for it. */
  #send(call: Exclude<Call, undefined>): boolean {
    const { body, authorization } = 'body' in call ? call : { body: call };
    if (body.length > this.#window) return false;
    this.#out.push(this.#headers.next(this.#stream, authorization));
    this.#out.push(frame(FRAME.data, END_STREAM, this.#stream, body));
    this.#window -= body.length;
    this.#stream += 2;
    this.#sent += 1;
    return true;
  }

  #flush(): void {
    if (this.#out.length > 0) this.#socket.write(Buffer.concat(this.#out.splice(0)));
  }

  #take({ type, flags, stream, payload }: Frame): void {
    if (type === FRAME.data) this.#received(stream, payload);
    if (type === FRAME.data || type === FRAME.headers) {
      if (flags & END_STREAM) this.#answered += 1;
    } else if (type === FRAME.windowUpdate && stream === 0) {
      this.#window += payload.readUInt32BE();
    } else if ((type === FRAME.settings || type === FRAME.ping) && !(flags & ACK)) {
      this.#out.push(frame(type, ACK, 0, type === FRAME.ping ? payload : Buffer.alloc(0)));
    } else if (type === FRAME.goAway || type === FRAME.rstStream) {
      this.#done.reject(new Error(`the server sent a frame of type ${type}`));
    }
  }

  #received(stream: number, payload: Buffer): void {
    if (this.#load.received) this.#collect(stream, payload, this.#load);
    this.#receivedBytes += payload.length;
    this.#unacknowledgedBytes += payload.length;
    if (this.#unacknowledgedBytes < WINDOW_UPDATE_BYTES) return;
    this.#out.push(windowUpdate(0, this.#unacknowledgedBytes));
    this.#unacknowledgedBytes = 0;
  }

  #collect(stream: number, payload: Buffer, load: VariedLoad): void {
    const bytes = Buffer.concat([this.#arriving.get(stream) ?? Buffer.alloc(0), payload]);
    const isWhole =
      bytes.length >= PREFIX_BYTES && bytes.length >= PREFIX_BYTES + bytes.readUInt32BE(1);
    if (isWhole) load.received?.(bytes.subarray(PREFIX_BYTES));
    if (isWhole) this.#arriving.delete(stream);
    else this.#arriving.set(stream, bytes);
  }

  #finish(): void {
    const messages = this.#receivedBytes / (this.#load.responseBytes + PREFIX_BYTES);
    // Timestamps in the answers differ by a few bytes; an error has no message at all.
    const isWhole = Math.abs(messages - this.#answered) <= this.#answered / 100;
    if (isWhole) this.#done.resolve(this.#answered);
    else this.#done.reject(new Error(`${this.#answered} answers had ${messages} messages`));
  }
}
