import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isVerifyPath } from '../mesh/verify-settings.ts';
import type { Connection } from '../rpc/caller-connection.ts';
import type { CallerMemory } from '../rpc/caller-memory.ts';
import { hasWholeBody } from '../rpc/door/whole-body.ts';
import { LINGER_MS, type Limits } from '../rpc/limits.ts';
import { Overdue } from '../rpc/overdue.ts';
import { keepHold } from '../rpc/stream-holds.ts';
import { noteAnswer, refuseManyHeaders } from './unreadable-http1.ts';

const KEEP_ALIVE_MS = 75_000;
/** Requests that are answered sooner than this get no timer that watches for silence. */
const YOUNG_MS = 1000;

/** Set as properties, since a TLS server does not take them as options. */
export function http1Settings(limits: Limits) {
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    connectionsCheckingInterval: limits.headersTimeoutMs / 2,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveTimeoutBuffer: 1000,
  };
}

/**
 * Makes Node parse TLS data as any other reader of the socket would receive it. By default Node parses
 * it below the socket, where a pause has no effect: if a request arrived while the previous answer was
 * still being sent, its second half would reach a paused parser and end the connection.
 */
export function parseWhatIsRead(socket: Socket): void {
  socket.on('data', () => {});
}

/** A connection, and whether it ends with an answer that has begun. */
type Guarded = { readonly connection: Connection; readonly drop: () => void; isEnding: boolean };

/** A property of the socket: a `WeakMap` would cost every request more. */
const GUARDED = Symbol('guarded');

/** An answer that ends its connection if its request is refused before it has arrived in full. */
export class Http1Answer extends ServerResponse<IncomingMessage> {
  override writeHead(...args: [statusCode: number]): this {
    if (isIncomplete(this.req)) endWith(this.req, this);
    return super.writeHead(...args);
  }
}

/** Whether some of the body has not come. A request without one is complete a moment after its headers. */
function isIncomplete(req: IncomingMessage): boolean {
  const { complete, headers } = req;
  const hasBody = 'content-length' in headers || 'transfer-encoding' in headers;
  return !complete && hasBody && !hasWholeBody(req);
}

/**
 * Makes an answer end its connection and say so (RFC 9112, section 9.6), since its request is refused
 * before it has arrived in full. Node would then close the connection at once. Data that is still on its
 * way would meet a reset, and the caller might lose the answer, so the rest is read for a moment.
 */
function endWith(req: IncomingMessage, res: ServerResponse): void {
  const socket = req.socket as Socket & { [GUARDED]?: Guarded };
  if (socket[GUARDED]) socket[GUARDED].isEnding = true;
  res.setHeader('connection', 'close');
  socket.destroySoon = () => {
    socket.end();
    req.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
  };
}

/**
 * Closes what Node would leave open as long as the caller likes (W02), and keeps a connection only if
 * the next request can follow.
 */
export class Http1Guard {
  readonly #limits: Limits;
  readonly #memory: CallerMemory;
  readonly #young: Overdue<ServerResponse>;

  constructor(limits: Limits, memory: CallerMemory) {
    this.#limits = limits;
    this.#memory = memory;
    this.#young = new Overdue(YOUNG_MS, (res) => this.#watch(res));
  }

  /** Begins to watch a request. Returns whether it is to be served. */
  admit(req: IncomingMessage, res: ServerResponse): boolean {
    const guarded = this.#guarded(req.socket);
    const headerBytes = this.#count(guarded, req, res);
    if (guarded.isEnding) return false;
    noteAnswer(req.socket, res);
    // A write after the caller has gone: without a listener its error would end the process.
    res.on('error', ignore);
    // Larger ones node refuses by itself.
    const { maxHeaders, maxHeaderBytes } = this.#limits;
    // A proxy's connection may bring more, for its questions alone.
    const isTooLarge = headerBytes > maxHeaderBytes && !isVerifyPath(req.url ?? '');
    const isRefused = isTooLarge || req.rawHeaders.length / 2 > maxHeaders;
    if (isRefused) refuseManyHeaders(res, this.#limits);
    return !isRefused;
  }

  #guarded(socket: Socket & { [GUARDED]?: Guarded }): Guarded {
    const known = socket[GUARDED];
    if (known) return known;
    const drop = () => void socket.destroy();
    const reins = { close: drop, pause: () => undefined };
    const connection = this.#memory.connect(socket.remoteAddress ?? '', reins);
    socket.once('close', () => this.#memory.disconnect(connection));
    const guarded = { connection, drop, isEnding: false };
    socket[GUARDED] = guarded;
    return guarded;
  }

  /** Counts what a request holds until its answer has been taken (W15). Returns what its headers take. */
  #count({ connection, drop }: Guarded, req: IncomingMessage, res: ServerResponse): number {
    let headerBytes = 0;
    for (const text of req.rawHeaders) headerBytes += text.length;
    const hold = this.#memory.open(connection, headerBytes, drop);
    const place = this.#young.add(res);
    connection.streams += 1;
    keepHold(req, hold);
    res.on('close', () => {
      connection.streams -= 1;
      hold.release();
      this.#young.remove(place);
    });
    return headerBytes;
  }

  /** The next request on the connection ends this. */
  #watch(res: ServerResponse): void {
    const { socket } = res.req;
    const { streamIdleMs, maxUntakenMs } = this.#limits;
    const isWritten = res.writableEnded && res.socket !== null;
    socket.setTimeout(isWritten ? maxUntakenMs : streamIdleMs);
    if (!isWritten) res.once('prefinish', () => socket.setTimeout(maxUntakenMs));
  }
}

function ignore(): void {}
