import {
  constants,
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Connection } from './caller-connection.ts';
import type { CallerMemory } from './caller-memory.ts';
import {
  keepFewStreams,
  type OnStream,
  pauseReading,
  replaceStreamListener,
} from './grpc/node-internals.ts';
import { areTooLarge, headerBytes, type RefuseHeaders } from './large-headers.ts';
import { LINGER_MS, type Limits } from './limits.ts';
import { Overdue } from './overdue.ts';
import { keepHold } from './stream-holds.ts';
import { UntakenAnswers } from './untaken-answers.ts';

/** Streams that end sooner than this get no timer that watches for silence. */
const YOUNG_MS = 1000;
/** How much more headers node:http2 takes than we do: those it refuses are reset, and nobody learns why. */
const HEADERS_READ = 4;

/**
 * The options that the HTTP/2 servers of both listeners are created with (W02). node:http2 counts a
 * stream that was reset until the next turn of the event loop, and refuses what seems to be above the
 * number that it announces in a way that clients take for abuse. So it announces twice the number that
 * `guardHttp2` enforces (W16), and headers of a size that `guardHttp2` can still answer.
 */
export function http2Options(limits: Limits) {
  return {
    maxSessionMemory: limits.maxSessionMemoryMib,
    maxHeaderListPairs: HEADERS_READ * limits.maxHeaders,
    handshakeTimeout: limits.headersTimeoutMs,
    streamResetBurst: limits.maxResets,
    streamResetRate: limits.maxResetsPerSecond,
    settings: {
      maxConcurrentStreams: 2 * limits.maxStreams,
      maxHeaderListSize: HEADERS_READ * limits.maxHeaderBytes,
      enableConnectProtocol: false,
    },
  };
}

/**
 * Closes what node:http2 would leave open as long as the caller likes (W02), and refuses streams
 * whose callers hold too much (W15). `refuse` answers headers over the limit. For a server whose one
 * `stream` listener is there.
 */
export function guardHttp2(
  server: Http2Server | Http2SecureServer,
  limits: Limits,
  memory: CallerMemory,
  refuse: RefuseHeaders,
): void {
  const connections = new WeakMap<Http2Session, Connection>();
  // A broken handshake or frame ends its connection and nothing else.
  server.on('sessionError', () => {});
  server.prependListener('session', (session) => {
    const connection = memory.connect(session.socket.remoteAddress ?? '', {
      close: () => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM),
      pause: () => pauseReading(session),
    });
    connections.set(session, connection);
    session.once('close', () => memory.disconnect(connection));
    keepFewStreams(session);
    requireFirstFrame(session, limits);
  });
  const untaken = new UntakenAnswers(limits.maxUntakenMs, calm);
  const young = new Overdue<ServerHttp2Stream>(YOUNG_MS, (stream) => {
    if (stream.destroyed) return;
    untaken.watch(stream);
    stream.setTimeout(limits.streamIdleMs, () => stream.close(constants.NGHTTP2_CANCEL));
  });
  replaceStreamListener(server, (serve): OnStream => {
    return (stream, headers, flags, rawHeaders) => {
      // A stream closes after its error, and that is handled. Its error may come, and would end the
      // process, before anyone else listens: with the end of its connection.
      stream.on('error', () => {});
      const connection = stream.session && connections.get(stream.session);
      if (!connection) return;
      const bytes = headerBytes(rawHeaders);
      const isFull = connection.streams >= limits.maxStreams;
      const place = young.add(stream);
      const hold = memory.open(connection, bytes, () => calm(stream));
      connection.streams += 1;
      stream.once('close', () => {
        connection.streams -= 1;
        hold.release();
        young.remove(place);
        untaken.leave(stream);
      });
      if (isFull) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      if (stream.closed) return;
      keepHold(stream, hold);
      guardStream(stream, () => young.remove(place));
      if (areTooLarge(rawHeaders, bytes, limits)) refuse(stream, headers);
      else serve(stream, headers, flags, rawHeaders);
    };
  });
}

/** Refuses a stream because of what its caller does. */
function calm(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** Destroys a connection whose first frame does not arrive. */
function requireFirstFrame(session: ServerHttp2Session, limits: Limits): void {
  const timer = setTimeout(() => session.destroy(), limits.headersTimeoutMs).unref();
  const stop = () => clearTimeout(timer);
  session.once('remoteSettings', stop).once('close', stop);
}

function guardStream(stream: ServerHttp2Stream, grown: () => void): void {
  stream.once('finish', () => {
    grown();
    if (!stream.readableEnded) dropUnread(stream);
  });
}

/**
 * Reads the rest of a request that has been answered for a moment, then refuses it (RFC 9113,
 * section 8.1). If it were refused at once, Node's own clients might never see their stream end.
 */
function dropUnread(stream: ServerHttp2Stream): void {
  stream.resume();
  const drop = () => stream.close(constants.NGHTTP2_NO_ERROR);
  const timer = setTimeout(drop, LINGER_MS).unref();
  stream.once('close', () => clearTimeout(timer));
}
