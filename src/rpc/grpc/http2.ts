import type {
  Http2SecureServer,
  Http2Server,
  Http2Session,
  IncomingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type * as grpc from '@grpc/grpc-js';
import { grpcTimeout } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import { guardHttp2, http2Options } from './http2-guard.ts';
import type { UnaryStreams } from './unary.ts';

const TIMEOUT = 'grpc-timeout';
/** Of a day. grpc-js computes in 32 bits: a longer time than 24 days can come out as none at all. */
const LONGEST_TIMEOUT = '86400S';

/** Streams whose `grpc-timeout` can't be read. */
const untimed = new WeakSet<ServerHttp2Stream>();

/** Has the HTTP/2 servers of grpc-js announce our limits: it has options for some of them only. */
export function limitHttp2(server: grpc.Server, limits: Limits): void {
  Object.assign(Reflect.get(server, 'commonServerOptions'), http2Options(limits));
}

/**
 * Looks after the HTTP/2 servers of a grpc-js server that has just been bound. Gives their open
 * sockets: grpc-js's own `forceShutdown` knows of none unless channelz is on, and a session that is
 * closing waits for its peer, whatever happens to it.
 */
export function guardGrpc(
  server: grpc.Server,
  unary: UnaryStreams,
  limits: Limits,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const servers = Reflect.get(server, 'http2Servers') as Map<
    Http2Server | Http2SecureServer,
    unknown
  >;
  for (const http2 of servers.keys()) {
    takeUnary(server, http2, unary);
    guardHttp2(http2, limits);
    http2.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  }
  return sockets;
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Puts our own way for plain unary calls before grpc-js's for all calls. */
function takeUnary(
  server: grpc.Server,
  http2: Http2Server | Http2SecureServer,
  unary: UnaryStreams,
): void {
  const [others] = http2.listeners('stream') as OnStream[];
  const opened = Reflect.get(server, 'onStreamOpened') as (stream: ServerHttp2Stream) => void;
  if (!others || typeof opened !== 'function') throw new Error('grpc-js is not as it was');
  // Behind `session.socket` is a proxy, too slow to be asked by every call.
  const peers = new WeakMap<Http2Session, string | undefined>();
  http2.on('session', (session) => peers.set(session, session.socket.remoteAddress));
  http2.removeListener('stream', others);
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const peer = stream.session && peers.get(stream.session);
    if (unary.take(stream, headers, peer)) {
      // By this grpc-js knows idle connections.
      opened.call(server, stream);
    } else {
      mendTimeout(stream, headers);
      others(stream, headers);
    }
  });
}

function mendTimeout(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const timeout = headers[TIMEOUT];
  if (timeout === undefined) return;
  if (grpcTimeout(String(timeout)) === undefined) {
    untimed.add(stream);
    delete headers[TIMEOUT];
  } else if (/[HMS]$/.test(String(timeout))) {
    headers[TIMEOUT] = shorter(String(timeout));
  }
}

function shorter(timeout: string): string {
  const unit = { H: 3600, M: 60, S: 1 }[timeout.at(-1) as 'H' | 'M' | 'S'];
  return Number.parseInt(timeout, 10) * unit > 86_400 ? LONGEST_TIMEOUT : timeout;
}

/** Whether the call named a deadline that can't be read. grpc-js would answer it and serve it too. */
export function hasOddTimeout(rpc: grpc.ServerInterceptingCallInterface): boolean {
  return untimed.has(Reflect.get(rpc, 'stream'));
}
