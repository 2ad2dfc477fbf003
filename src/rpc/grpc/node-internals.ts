import { EventEmitter } from 'node:events';
import {
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { Duplex } from 'node:stream';
import { types } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { OpenStreams } from './open-streams.ts';

/**
 * Everything that the service knows about private members of grpc-js and node:http2, and the versions in
 * which they are like this. Each function checks what it finds. If that is not as known, it returns
 * `undefined` or `false` and changes nothing, and its caller does without.
 */
export const KNOWN_VERSIONS = { node: '24', grpcJs: '1.14.7' } as const;

export type AnyHttp2Server = Http2Server | Http2SecureServer;
export type OnStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/** The options that grpc-js will create its HTTP/2 servers with: it lets us set few of them. */
export function http2ServerOptions(server: grpc.Server): object | undefined {
  const options = member(server, 'commonServerOptions');
  return typeof member(options, 'maxSessionMemory') === 'number' ? Object(options) : undefined;
}

/** The HTTP/2 servers of a grpc-js server that is bound. */
export function http2Servers(server: grpc.Server): AnyHttp2Server[] | undefined {
  const servers = member(server, 'http2Servers');
  if (!types.isMap(servers)) return undefined;
  const all = [...servers.keys()];
  return all.length > 0 && all.every(isHttp2Server) ? all : undefined;
}

function isHttp2Server(value: unknown): value is AnyHttp2Server {
  return value instanceof EventEmitter && value.listenerCount('stream') === 1;
}

/** Replaces the one listener by which a server takes its streams. */
export function replaceStreamListener(
  http2: AnyHttp2Server,
  replacementOf: (serve: OnStream) => OnStream,
): void {
  const [serve, another] = http2.listeners('stream') as OnStream[];
  if (!serve || another) throw new Error('the server has not one listener for streams');
  http2.removeListener('stream', serve);
  http2.on('stream', replacementOf(serve));
}

/** Tells grpc-js of a stream that it does not serve: it closes connections that have none. */
export function streamCounter(
  server: grpc.Server,
): ((stream: ServerHttp2Stream) => void) | undefined {
  const opened = member(server, 'onStreamOpened');
  return typeof opened === 'function' ? opened.bind(server) : undefined;
}

/** The methods that grpc-js serves, by path. */
export function methodHandlers(server: grpc.Server): Map<unknown, unknown> | undefined {
  const handlers = member(server, 'handlers');
  return types.isMap(handlers) ? handlers : undefined;
}

/** The innermost call of grpc-js, whose methods grpc-js itself also calls to refuse a call. */
export type InnermostCall = grpc.ServerInterceptingCallInterface & {
  metadata: grpc.Metadata;
  stream: ServerHttp2Stream;
};

/** Whether the call that grpc-js hands to its first interceptor is the innermost, as it is known. */
export function isInnermostCall(call: grpc.ServerInterceptingCallInterface): call is InnermostCall {
  const isStream = typeof member(member(call, 'stream'), 'aborted') === 'boolean';
  return isStream && member(call, 'metadata') instanceof grpc.Metadata;
}

type Read = (message: Buffer, encoding: string) => Buffer | undefined;

/**
 * Makes a call of grpc-js read each message by `read`, which gets it with its prefix and its
 * compression; those for which it returns nothing are left to grpc-js. A status that it throws ends the
 * call. Returns whether that is possible.
 */
export function readMessages(rpc: InnermostCall, read: Read): boolean {
  const decompress = member(rpc, 'decompressMessage');
  if (typeof decompress !== 'function') return false;
  return Reflect.set(
    rpc,
    'decompressMessage',
    async (message: Buffer, encoding: string) =>
      read(message, encoding) ?? decompress.call(rpc, message, encoding),
  );
}

type Decoder = { write(piece: Buffer): Buffer[] };

/** Replaces what a call of grpc-js reads its messages with. Returns whether it could. */
export function replaceDecoder(rpc: InnermostCall, decoder: Decoder): boolean {
  if (typeof member(member(rpc, 'decoder'), 'write') !== 'function') return false;
  return Reflect.set(rpc, 'decoder', decoder);
}

/** Makes a new connection keep its open streams in `OpenStreams`. Returns whether it could. */
export function keepFewStreams(session: ServerHttp2Session): boolean {
  const state = member(
    session,
    Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state'),
  );
  const [streams, pending] = [member(state, 'streams'), member(state, 'pendingStreams')];
  const isKnown = types.isMap(streams) && types.isSet(pending) && streams.size + pending.size === 0;
  if (isKnown) {
    Object.assign(Object(state), {
      streams: new OpenStreams(),
      pendingStreams: new OpenStreams(),
    });
  }
  return isKnown;
}

type Readable = { readStart(): number; readStop(): number; writeQueueSize: number };

/**
 * Stops reading from a connection until the result is called. The result returns whether it reads again:
 * it does not while the peer takes nothing, since node:http2 itself stops reading then, and starts again
 * later.
 */
export function pauseReading(session: ServerHttp2Session): (() => boolean) | undefined {
  if (session.destroyed) return undefined;
  const handle = member(session.socket, '_handle');
  if (!isReadable(handle)) return undefined;
  handle.readStop();
  return () => {
    if (session.destroyed) return true;
    if (handle.writeQueueSize > 0) return false;
    handle.readStart();
    return true;
  };
}

function isReadable(handle: unknown): handle is Readable {
  return (
    typeof member(handle, 'readStart') === 'function' &&
    typeof member(handle, 'readStop') === 'function' &&
    typeof member(handle, 'writeQueueSize') === 'number'
  );
}

/** Whether `keepFewStreams` works here: it is tried on a session that has no network. */
export function knowsSessions(): boolean {
  const nowhere = new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() });
  const session = performServerHandshake(nowhere);
  const isKnown = keepFewStreams(session);
  session.destroy();
  return isKnown;
}

function member(of: unknown, name: string | symbol | undefined): unknown {
  if (typeof of !== 'object' || of === null || name === undefined) return undefined;
  return Reflect.get(of, name);
}
