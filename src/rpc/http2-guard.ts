import {
  constants,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { keepFewStreams } from './grpc/node-internals.ts';
import { LINGER_MS, type Limits } from './limits.ts';
import { Overdue } from './overdue.ts';

/** Streams that end sooner than this get no timer that watches for silence. */
const YOUNG_MS = 1000;

/** The options that the HTTP/2 servers of both listeners are created with (W02). */
export function http2Options(limits: Limits) {
  return {
    maxSessionMemory: limits.maxSessionMemoryMib,
    maxHeaderListPairs: limits.maxHeaders,
    handshakeTimeout: limits.headersTimeoutMs,
    settings: {
      maxConcurrentStreams: limits.maxStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      enableConnectProtocol: false,
    },
  };
}

/** Closes what node:http2 would leave open for as long as its caller likes (W02). */
export function guardHttp2(server: Http2Server | Http2SecureServer, limits: Limits): void {
  // A broken handshake or frame ends its connection and nothing else.
  server.on('sessionError', () => {});
  server.on('session', (session) => {
    keepFewStreams(session);
    requireFirstFrame(session, limits);
  });
  const young = new Overdue<ServerHttp2Stream>(YOUNG_MS, (stream) => {
    if (stream.destroyed) return;
    stream.setTimeout(limits.streamIdleMs, () => stream.close(constants.NGHTTP2_CANCEL));
  });
  server.prependListener('stream', (stream) => guardStream(stream, young));
}

/** Destroys a connection whose first frame does not arrive. */
function requireFirstFrame(session: ServerHttp2Session, limits: Limits): void {
  const timer = setTimeout(() => session.destroy(), limits.headersTimeoutMs).unref();
  const stop = () => clearTimeout(timer);
  session.once('remoteSettings', stop).once('close', stop);
}

function guardStream(stream: ServerHttp2Stream, young: Overdue<ServerHttp2Stream>): void {
  const place = young.add(stream);
  stream.once('finish', () => {
    young.remove(place);
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
