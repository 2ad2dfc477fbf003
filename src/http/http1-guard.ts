import type { IncomingMessage } from 'node:http';
import type { NodeResponse } from '../rpc/connect/node-bridge.ts';
import { LINGER_MS, type Limits } from '../rpc/limits.ts';

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

/** Closes what Node would leave open for as long as its caller likes (W02). */
export function guardHttp1(req: IncomingMessage, res: NodeResponse, limits: Limits): void {
  const { socket } = req;
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
