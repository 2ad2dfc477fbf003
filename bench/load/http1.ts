import { connect, type Socket } from 'node:net';

const END_OF_HEADERS = '\r\n\r\n';

export type Http1Request = {
  method: 'GET' | 'POST';
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
};

export type Http1Answer = { status: number; body: string };

/** Returns a request as it is written to a connection. */
export function requestBytes(request: Http1Request): Buffer {
  const { method, path, headers = {}, body = '' } = request;
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: id.example.com',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(method === 'POST' ? [`content-length: ${Buffer.byteLength(body)}`] : []),
  ];
  return Buffer.from(`${lines.join('\r\n')}${END_OF_HEADERS}${body}`);
}

/**
 * A connection that sends one request at a time and reads its answer. It knows no more of HTTP/1.1 than
 * this takes: node:http would cost as much as the server.
 */
export class Http1Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #waiting: PromiseWithResolvers<Http1Answer> | undefined;

  /** `address` is `127.0.0.1:8080`. */
  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#socket = connect({ host: hostname, port: Number(port || 80), noDelay: true });
    this.#socket.on('error', (error) => this.#waiting?.reject(error));
    this.#socket.on('close', () => {
      this.#isClosed = true;
      this.#waiting?.reject(new Error('the server closed a connection'));
    });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length > 0 ? Buffer.concat([this.#received, chunk]) : chunk;
      this.#read();
    });
  }

  /** Servers close connections that nobody uses for a while. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  async send(request: Buffer): Promise<Http1Answer> {
    if (this.#isClosed) throw new Error('the connection is closed');
    this.#waiting = Promise.withResolvers();
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(): void {
    const read = readAnswer(this.#received);
    if (!read) return;
    this.#received = this.#received.subarray(read.bytes);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(read.answer);
  }
}

/** Reads one answer and says how many bytes it has; undefined if it is not complete yet. */
export function readAnswer(bytes: Buffer): { answer: Http1Answer; bytes: number } | undefined {
  const end = bytes.indexOf(END_OF_HEADERS);
  if (end === -1) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  const start = end + END_OF_HEADERS.length;
  const found = /\r\ntransfer-encoding: *chunked/i.test(head)
    ? readChunks(bytes, start)
    : readLength(bytes, start, Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0));
  return found && { answer: { status, body: found.body }, bytes: found.end };
}

type Body = { body: string; end: number };

function readLength(bytes: Buffer, start: number, length: number): Body | undefined {
  const end = start + length;
  return bytes.length < end ? undefined : { body: bytes.toString('utf8', start, end), end };
}

function readChunks(bytes: Buffer, start: number): Body | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + length + 2;
    if (bytes.length < next) return undefined;
    if (length === 0) return { body: Buffer.concat(parts).toString(), end: next };
    parts.push(bytes.subarray(lineEnd + 2, next - 2));
    at = next;
  }
}

/**
 * Repeats a step on each of some connections for a number of seconds. Returns how often it was done per
 * second. A step sends one request; `index` is that of its connection.
 */
export async function repeatOnConnections(
  load: { address: string; connections: number; seconds: number },
  step: (connection: Http1Connection, index: number) => Promise<void>,
): Promise<number> {
  const connections = Array.from(
    { length: load.connections },
    () => new Http1Connection(load.address),
  );
  const startedAt = performance.now();
  const end = startedAt + load.seconds * 1000;
  let done = 0;
  try {
    const work = async (connection: Http1Connection, index: number) => {
      for (; performance.now() < end; done += 1) await step(connection, index);
    };
    await Promise.all(connections.map(work));
    return done / ((performance.now() - startedAt) / 1000);
  } finally {
    for (const connection of connections) connection.close();
  }
}
