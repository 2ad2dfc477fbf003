import { connect, type Socket } from 'node:net';
import { framed } from './grpc-framing.ts';
import {
  ACK,
  CallHeaders,
  END_STREAM,
  FRAME,
  type Frame,
  FrameReader,
  frame,
  PREFACE,
} from './http2-frames.ts';

const STREAMS_PER_CONNECTION = 100;
const NOTHING = Buffer.alloc(0);

export type StreamLoad = { address: string; path: string; authorization: string; count: number };

export type OpenStreams = {
  /** When each of them ended (ms, as `performance.now`). */
  ended: Promise<number[]>;
};

/** Opens streams of a method, and waits until each has its first message. */
export async function openStreams(load: StreamLoad): Promise<OpenStreams> {
  const connections: Connection[] = [];
  for (let left = load.count; left > 0; left -= STREAMS_PER_CONNECTION) {
    const connection = new Connection(load, Math.min(left, STREAMS_PER_CONNECTION));
    connections.push(connection);
    await connection.opened.promise;
  }
  const ended = Promise.all(connections.map((each) => each.ended.promise));
  // Whoever awaits it learns of a failure; until then it must end nothing.
  ended.catch(() => {});
  return { ended: ended.then((times) => times.flat()) };
}

class Connection {
  readonly opened = Promise.withResolvers<void>();
  readonly ended = Promise.withResolvers<number[]>();
  readonly #count: number;
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  readonly #open = new Set<number>();
  readonly #times: number[] = [];

  constructor({ address, path, authorization }: StreamLoad, count: number) {
    this.#count = count;
    this.ended.promise.catch(() => {});
    const { hostname, port } = new URL(`http://${address}`);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed a connection')));
    this.#socket.on('data', (chunk: Buffer) => {
      const at = performance.now();
      for (const each of this.#frames.read(chunk)) this.#take(each, at);
    });
    const headers = new CallHeaders(address, path);
    const out = [PREFACE, frame(FRAME.settings, 0, 0, NOTHING)];
    for (let stream = 1; stream < 2 * count; stream += 2) {
      out.push(headers.next(stream, authorization));
      out.push(frame(FRAME.data, END_STREAM, stream, framed(NOTHING)));
    }
    this.#socket.write(Buffer.concat(out));
  }

  #take({ type, flags, stream, payload }: Frame, at: number): void {
    if (type === FRAME.data && payload.length > 0) this.#open.add(stream);
    if (this.#open.size === this.#count) this.opened.resolve();
    if ((type === FRAME.settings || type === FRAME.ping) && !(flags & ACK)) {
      this.#socket.write(frame(type, ACK, 0, type === FRAME.ping ? payload : NOTHING));
    }
    if (type === FRAME.headers && flags & END_STREAM) this.#end(stream, at);
  }

  #end(stream: number, at: number): void {
    if (!this.#open.has(stream)) this.#fail(new Error('the server refuses a stream'));
    this.#times.push(at);
    if (this.#times.length < this.#count) return;
    this.ended.resolve(this.#times);
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.opened.reject(error);
    this.ended.reject(error);
  }
}
