import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../rpc/caller-connection.ts';
import type { CallerMemory } from '../rpc/caller-memory.ts';
import type { NodeResponse } from '../rpc/connect/node-request.ts';
import { LINGER_MS, type Limits } from '../rpc/limits.ts';
import { keepHold } from '../rpc/stream-holds.ts';

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

/** Closes what Node would leave open for as long as its caller likes (W02). */
export function guardHttp1(
  req: IncomingMessage,
  res: NodeResponse,
  limits: Limits,
  memory: CallerMemory,
): void {
  const { socket } = req;
  countRequest(req, res, memory);
  // A write after the caller has gone: without a listener its error would end the process.
  res.on('error', () => {});
  // The next request on this connection sets it again.
  socket.setTimeout(limits.streamIdleMs);
  const drop = () => {
    if (!req.complete) socket.destroy();
  };
  res.once('finish', () => {
    if (!req.complete) setTimeout(drop, LINGER_MS).unref();
  });
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
