import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../rpc/caller-connection.ts';
import type { CallerMemory } from '../rpc/caller-memory.ts';
import type { NodeResponse } from '../rpc/connect/node-request.ts';
import { LINGER_MS, type Limits } from '../rpc/limits.ts';
import { keepHold } from '../rpc/stream-holds.ts';
import { noteAnswer, refuseManyHeaders } from './unreadable-http1.ts';

const KEEP_ALIVE_MS = 75_000;

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

const connections = new WeakMap<Socket, Connection>();

/**
 * Makes Node parse TLS data as any other reader of the socket would receive it. By default Node parses
 * it below the socket, where a pause has no effect: if a request arrived while the previous answer was
 * still being sent, its second half would reach a paused parser and end the connection.
 */
export function parseWhatIsRead(socket: Socket): void {
  socket.on('data', () => {});
}

/** Connections that end with an answer that has begun. */
const ending = new WeakSet<Socket>();

/**
 * Closes what Node would leave open as long as the caller likes (W02), and keeps a connection only if
 * the next request can follow. Returns whether the request is to be served.
 */
export function guardHttp1(
  req: IncomingMessage,
  res: ServerResponse,
  limits: Limits,
  memory: CallerMemory,
): boolean {
  const { socket } = req;
  if (ending.has(socket)) return false;
  noteAnswer(socket, res);
  countRequest(req, res, memory);
  // A write after the caller has gone: without a listener its error would end the process.
  res.on('error', () => {});
  // The next request on this connection sets it again.
  socket.setTimeout(limits.streamIdleMs);
  res.once('prefinish', () => socket.setTimeout(limits.maxUntakenMs));
  const writeHead = res.writeHead;
  res.writeHead = (...args: unknown[]) => {
    if (isIncomplete(req)) endWith(req, res);
    return Reflect.apply(writeHead, res, args);
  };
  // Larger ones node refuses by itself.
  const isRefused = req.rawHeaders.length / 2 > limits.maxHeaders;
  if (isRefused) refuseManyHeaders(res, limits);
  return !isRefused;
}

/** Whether some of the body has not come. A request without one is complete a moment after its headers. */
function isIncomplete({ complete, headers }: IncomingMessage): boolean {
  return !complete && ('content-length' in headers || 'transfer-encoding' in headers);
}

/**
 * Makes an answer end its connection and say so (RFC 9112, section 9.6), since its request is refused
 * before it has arrived in full. Node would then close the connection at once. Data that is still on its
 * way would meet a reset, and the caller might lose the answer, so the rest is read for a moment.
 */
function endWith(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req;
  ending.add(socket);
  res.setHeader('connection', 'close');
  socket.destroySoon = () => {
    socket.end();
    req.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
  };
}

/** Counts what a request holds until its answer has been taken (W15). */
function countRequest(req: IncomingMessage, res: NodeResponse, memory: CallerMemory): void {
  const { socket, rawHeaders } = req;
  const drop = () => void socket.destroy();
  const connection =
    connections.get(socket) ??
    memory.connect(socket.remoteAddress ?? '', {
      close: drop,
      pause: () => undefined,
    });
  if (!connections.has(socket)) {
    connections.set(socket, connection);
    socket.once('close', () => memory.disconnect(connection));
  }
  const headerBytes = rawHeaders.reduce((sum, text) => sum + text.length, 0);
  const hold = memory.open(connection, headerBytes, drop);
  connection.streams += 1;
  keepHold(req, hold);
  res.once('close', () => {
    connection.streams -= 1;
    hold.release();
  });
}
