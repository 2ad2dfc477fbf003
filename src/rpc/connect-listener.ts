import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { Code, ConnectError, createConnectRouter, type Interceptor } from '@connectrpc/connect';
import {
  createAsyncIterable,
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { errorFromJsonBytes, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { findTrailerError, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerParse, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import { errorFields, type Log } from '../platform/log.ts';
import { type Call, type CallFactory, contextOf } from './call.ts';
import { deadlineExceeded, toConnectError } from './errors.ts';
import { logCall } from './interceptors/logging.ts';
import * as limits from './limits.ts';
import type { Service } from './services.ts';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

export type ConnectListenerDeps = {
  services: readonly Service[];
  interceptors: Interceptor[];
  calls: CallFactory;
  log: Log;
};

const ENVELOPE_HEADER_BYTES = 5;
const LINGER_MS = 500;

/**
 * Serves the Connect and gRPC-Web protocols to Node requests. The returned function says whether the
 * request was for one of our methods, and answers it if so.
 *
 * Connect reads a unary request before it runs the interceptors, so that a request it can't read
 * gets a bare error; such answers are completed here with the details and the log line that every
 * other error has.
 */
export function connectListener(
  deps: ConnectListenerDeps,
): (req: NodeRequest, res: NodeResponse) => boolean {
  const router = createConnectRouter({
    grpc: false,
    interceptors: deps.interceptors,
    readMaxBytes: limits.MAX_MESSAGE_BYTES,
    maxTimeoutMs: limits.MAX_DEADLINE_MS,
    jsonOptions: { ignoreUnknownFields: false },
    acceptCompression: [compressionGzip, compressionBrotli],
    // Answers hold tokens beside what callers chose: they are not compressed (BREACH).
    compressMinBytes: 0xffffffff,
  });
  for (const { descriptor, implementation } of deps.services) {
    router.service(descriptor, implementation);
  }
  const handlers = new Map(router.handlers.map((each) => [each.requestPath, each]));
  return (req, res) => {
    const handler = handlers.get((req.url ?? '').split('?', 1)[0] ?? '');
    if (!handler) return false;
    const call = deps.calls.begin((name) => header(req, name), req.socket.remoteAddress);
    answer(handler, deps.log, call, req, res).catch((error) => {
      deps.log.debug({ request_id: call.requestId, ...errorFields(error) }, 'answer not delivered');
    });
    return true;
  };
}

async function answer(
  handler: UniversalHandler,
  log: Log,
  call: Call,
  req: NodeRequest,
  res: NodeResponse,
): Promise<void> {
  res.setHeader('x-request-id', call.requestId);
  limitBodyTime(handler, req);
  res.once('finish', () => dropUnread(req));
  const universal = await handler(
    // The types tell IncomingMessage and Http2ServerRequest apart by overloads; the code does not.
    universalRequestFromNodeRequest(
      req as IncomingMessage,
      res as ServerResponse,
      undefined,
      contextOf(call),
    ),
  );
  await universalResponseToNodeResponse(await completed(universal, handler, log, call), res);
}

async function completed(
  res: UniversalServerResponse,
  handler: UniversalHandler,
  log: Log,
  call: Call,
): Promise<UniversalServerResponse> {
  const complete = (error: ConnectError) => {
    const result = toConnectError(error, call.requestId);
    logCall(log, call, `${handler.service.typeName}/${handler.method.name}`, result);
    return result;
  };
  const type = res.header?.get('content-type') ?? '';
  if (type.startsWith('application/grpc-web') && res.body) {
    return { ...res, body: completedTrailers(res.body, call, complete) };
  }
  if (call.intercepted || res.status === 200 || type !== 'application/json' || !res.body)
    return res;
  const fallback = new ConnectError('internal error', Code.Internal);
  const error = complete(errorFromJsonBytes(await collect(res.body), undefined, fallback));
  const body = errorToJsonBytes(error, undefined);
  const header = new Headers(res.header);
  header.set('content-length', String(body.byteLength));
  return { ...res, status: STATUS[error.code] ?? 500, header, body: createAsyncIterable([body]) };
}

/** HTTP statuses of the Connect protocol for the codes that a request can fail with unread. */
const STATUS: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: 400,
  [Code.ResourceExhausted]: 429,
  [Code.Unimplemented]: 501,
  [Code.DeadlineExceeded]: 504,
  [Code.Canceled]: 499,
  [Code.Unavailable]: 503,
};

/** The body of a gRPC-Web answer, whose error is in its last frame. */
async function* completedTrailers(
  body: AsyncIterable<Uint8Array>,
  call: Call,
  complete: (error: ConnectError) => ConnectError,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const error =
      !call.intercepted && chunk[0] === trailerFlag
        ? findTrailerError(trailerParse(chunk.subarray(ENVELOPE_HEADER_BYTES)))
        : undefined;
    if (error) {
      const trailer = setTrailerStatus(new Headers(), complete(error));
      yield encodeEnvelope(trailerFlag, trailerSerialize(trailer));
    } else {
      yield chunk;
    }
  }
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(body));
}

/** A caller who sends headers and then nothing holds a stream: for so long, and no longer. */
function limitBodyTime(handler: UniversalHandler, req: NodeRequest): void {
  const { methodKind } = handler.method;
  if (methodKind === 'client_streaming' || methodKind === 'bidi_streaming') return;
  const timer = setTimeout(() => req.destroy(deadlineExceeded()), limits.BODY_TIMEOUT_MS);
  const stop = () => clearTimeout(timer);
  req.once('end', stop).once('close', stop);
}

/** Node would read the rest of a refused request to its end, for as long as its sender likes. */
function dropUnread(req: NodeRequest): void {
  if (req.complete) return;
  if ('stream' in req) req.stream.close(constants.NGHTTP2_NO_ERROR);
  else setTimeout(() => req.socket.destroy(), LINGER_MS).unref();
}

function header(req: NodeRequest, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
