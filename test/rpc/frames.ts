import { type EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../harness/eventually.ts';

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;
export const END_STREAM = 1;
const ACK = 1;
export const END_HEADERS = 4;

/** The first bytes of every HTTP/2 client, RFC 9113 section 3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type Frame = { type: number; flags: number; stream: number; payload: Buffer };

/** An HTTP/2 client that sends whatever frames it is told to, RFC 9113 section 4.1. */
export class RawHttp2 {
  readonly received: Frame[] = [];
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /** Connects and says hello: the preface and empty settings. */
  static async to(address: string): Promise<RawHttp2> {
    const raw = await RawHttp2.toDeaf(address);
    await eventually(() => raw.received.some(({ type }) => type === SETTINGS));
    raw.write(frame(SETTINGS, ACK, 0));
    return raw;
  }

  /** The same, but never acknowledges the settings. */
  static async toDeaf(address: string): Promise<RawHttp2> {
    const raw = await RawHttp2.toSilent(address);
    raw.write(PREFACE);
    raw.write(frame(SETTINGS, 0, 0));
    return raw;
  }

  /** The same, and says nothing at all. */
  static async toSilent(address: string): Promise<RawHttp2> {
    return new RawHttp2(await rawSocket(address));
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Whether all that was written has been taken. */
  get hasSent(): boolean {
    return this.#socket.writableLength === 0;
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** The headers of a call, and no end. */
  call(stream: number, path: string, more: Record<string, string> = {}): void {
    this.write(frame(HEADERS, END_HEADERS, stream, callHeaders(path, more)));
  }

  /** Whether a frame of that type has come, for that stream. */
  got(type: number, stream = 0): boolean {
    return this.received.some((each) => each.type === type && each.stream === stream);
  }

  /** Takes nothing more of what the server sends. */
  stopReading(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const length = this.#rest.length < 9 ? Infinity : this.#rest.readUIntBE(0, 3) + 9;
      if (this.#rest.length < length) return;
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      const payload = this.#rest.subarray(9, length);
      this.received.push({ type, flags, stream: this.#rest.readUInt32BE(5), payload });
      this.#rest = this.#rest.subarray(length);
    }
  }
}

/**
 * Writes, and returns what comes back until the server closes the connection, or for `ms`. `closed` says
 * which it was.
 */
export async function exchange(
  address: string,
  bytes: readonly Uint8Array[],
  ms: number,
): Promise<{ closed: boolean; text: string }> {
  const socket = await rawSocket(address);
  socket.on('error', () => {});
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const over = closed(socket).then(() => true);
  for (const each of bytes) {
    if (socket.destroyed) break;
    socket.write(each);
  }
  const ended = await Promise.race([over, sleep(ms, false)]);
  socket.destroy();
  return { closed: ended, text: Buffer.concat(chunks).toString('latin1') };
}

/** When something has closed, in whatever way. */
export function closed(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.once('close', () => resolve()));
}

/** A connected TCP socket to `host:port`. */
export async function rawSocket(address: string): Promise<Socket> {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function callHeaders(path: string, more: Record<string, string> = {}): Buffer {
  return hpack({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  });
}

/** Header fields as literals without indexing, RFC 7541 section 6.2.2. */
export function hpack(fields: Record<string, string>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** RFC 7541 section 5.1, with a prefix of 7 bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}
