import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { headerText } from '../headers.ts';
import type { Limits } from '../limits.ts';
import { holdOf } from '../stream-holds.ts';
import { unzippedBytes } from '../unzip.ts';
import { type AnyHttp2Server, type OnStream, replaceStreamListener } from './node-internals.ts';
import { prepareHeaders } from './received-headers.ts';
import type { UnaryFastPath } from './unary-fast-path.ts';

/** What a call by grpc-js costs (bytes) in addition to what any stream costs. Measured. */
const GRPC_JS_BYTES = 6 * 1024;

/**
 * Hands each new stream to the fast path, if there is one and it takes the stream, or to grpc-js. What a
 * stream is refused for costs far more once grpc-js has it, so it counts in full before that.
 */
export function dispatchStreams(
  http2: AnyHttp2Server,
  fastPath: UnaryFastPath | undefined,
  countStream: ((stream: ServerHttp2Stream) => void) | undefined,
  limits: Limits,
): void {
  replaceStreamListener(http2, (grpcJs) => {
    const serveByGrpcJs: OnStream = (stream, headers, flags, rawHeaders) => {
      if (headers[':method'] !== 'POST') return refuseMethod(stream);
      const hold = holdOf(stream);
      hold?.add(GRPC_JS_BYTES);
      hold?.unpack(unzippedBytes(headerText(headers['grpc-encoding']), limits));
      if (stream.closed) return;
      prepareHeaders(stream, headers);
      grpcJs(stream, headers, flags, rawHeaders);
    };
    if (!fastPath || !countStream) return serveByGrpcJs;
    // `session.socket` is a proxy, which is too slow for every call.
    const peers = new WeakMap<Http2Session, string | undefined>();
    http2.on('session', (session) => peers.set(session, session.socket.remoteAddress));
    return (stream, headers, flags, rawHeaders) => {
      const peer = stream.session && peers.get(stream.session);
      if (fastPath.take(stream, headers, peer)) countStream(stream);
      else serveByGrpcJs(stream, headers, flags, rawHeaders);
    };
  });
}

/** Every call is a POST. grpc-js would serve any method. */
function refuseMethod(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 405, allow: 'POST' }, { endStream: true });
}
