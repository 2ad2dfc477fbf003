import type { Http2ServerResponse } from 'node:http2';
import { createRegistry } from '@bufbuild/protobuf';
import { Code, ConnectError, createConnectRouter } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { type CallLog, errorFields } from '../../platform/log.ts';
import { type Call, SESSION_MODE } from '../call.ts';
import { callSystem } from '../call-durations.ts';
import { limitConnectDeadline } from '../deadlines.ts';
import { isClosed } from '../door/answer-once.ts';
import { toConnectError } from '../errors.ts';
import { unknownMethod } from '../failures.ts';
import { headerText } from '../headers.ts';
import { logCall } from '../interceptors/logging.ts';
import type { Serving } from '../serving.ts';
import { holdOf } from '../stream-holds.ts';
import { unzippedBytes } from '../unzip.ts';
import { COMPRESSIONS } from './compressions.ts';
import { completed, errorAnswer, isRpc } from './errors.ts';
import { answerGrpc, isGrpc } from './misdirected-grpc.ts';
import { universalRequest, writeAnswer } from './node-bridge.ts';
import type { NodeRequest, NodeResponse } from './node-request.ts';
import { UnaryFastPath } from './unary-fast-path.ts';
import type { JsonOptions } from './unary-format.ts';

/** What a Connect call costs (bytes) in addition to what any stream costs. Measured. */
const CONNECT_BYTES = 10 * 1024;

/** The path of an RPC: `/package.Service/Method`. */
const RPC_PATH = /^\/\w+(?:\.\w+)+\/\w+$/;

export type ConnectOptions = {
  unaryFastPath: boolean;
  /** Services behind interceptors of their own, which anyone may call. */
  open: Pick<Serving, 'services' | 'interceptors'>;
  /** Where gRPC is served. */
  grpcPort: number;
};

/**
 * Serves the Connect and gRPC-Web protocols to Node requests. The returned function answers a request
 * that is a call, and returns whether it is one.
 */
export function connectListener(
  serving: Serving,
  { unaryFastPath, open, grpcPort }: ConnectOptions,
): (req: NodeRequest, res: NodeResponse) => boolean {
  const jsonOptions = jsonOptionsOf(serving);
  const fastPath = unaryFastPath ? new UnaryFastPath(serving, jsonOptions) : undefined;
  const handlers = new Map(
    [serving, { ...serving, ...open }]
      .flatMap((each) => handlersOf(each, jsonOptions))
      .map((each) => [each.requestPath, each]),
  );
  return (req, res) => {
    if (fastPath?.take(req, res)) return true;
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    if (isGrpc(req)) return answerGrpc(res as Http2ServerResponse, grpcPort);
    const handler = handlers.get(path);
    if (!handler && !isUnknownCall(req, path)) return false;
    const system = callSystem(header(req, 'content-type'));
    const peer = req.socket.remoteAddress;
    const call = serving.calls.begin((name) => header(req, name), peer, system);
    call.hold = holdOf('stream' in req ? req.stream : req);
    call.sessionMode = header(req, SESSION_MODE);
    const encoding = req.headers['content-encoding'] ?? header(req, 'grpc-encoding');
    call.hold?.add(CONNECT_BYTES);
    call.hold?.unpack(unzippedBytes(encoding, serving.limits));
    if (isClosed(res)) return true;
    res.setHeader('x-request-id', call.requestId);
    if (req.method === 'GET') res.setHeader('cache-control', 'no-store');
    const answered = handler
      ? answer(handler, serving, call, req, res)
      : writeAnswer(refuse(serving.log, call, req, path), res);
    answered.catch((error) => {
      serving.log.debug(
        { request_id: call.requestId, ...errorFields(error) },
        'answer not delivered',
      );
      res.destroy();
    });
    return true;
  };
}

function jsonOptionsOf({ services }: Serving): JsonOptions {
  // For messages within `Any`.
  const registry = createRegistry(...services.map(({ descriptor }) => descriptor.file));
  return { ignoreUnknownFields: false, registry };
}

function handlersOf(
  { services, interceptors, limits }: Serving,
  jsonOptions: JsonOptions,
): UniversalHandler[] {
  const router = createConnectRouter({
    grpc: false,
    interceptors,
    readMaxBytes: limits.maxMessageBytes,
    jsonOptions,
    acceptCompression: COMPRESSIONS,
    // Not compressed: answers hold tokens next to text that callers chose (BREACH).
    compressMinBytes: 0xffffffff,
  });
  for (const { descriptor, implementation } of services) {
    router.service(descriptor, implementation);
  }
  return router.handlers;
}

async function answer(
  handler: UniversalHandler,
  { log, limits }: Serving,
  call: Call,
  req: NodeRequest,
  res: NodeResponse,
): Promise<void> {
  const { methodKind } = handler.method;
  call.timeLimitMs = limitConnectDeadline(req.headers, methodKind !== 'unary');
  const sentAtOnce = methodKind === 'unary' || methodKind === 'server_streaming';
  const limitMs = sentAtOnce
    ? Math.min(limits.bodyTimeoutMs, call.timeLimitMs ?? Infinity)
    : undefined;
  const body = { maxMessageBytes: limits.maxMessageBytes, limitMs };
  const gone = new AbortController();
  const universal = await handler(universalRequest(req, res, call, body, gone));
  const path = `${handler.service.typeName}/${handler.method.name}`;
  const complete = (error: ConnectError) => completeError(log, call, path, error);
  await writeAnswer(call.intercepted ? universal : await completed(universal, complete), res, {
    limitMs: limits.readerStallMs,
    gone,
  });
}

function completeError(log: CallLog, call: Call, path: string, error: ConnectError): ConnectError {
  const result = toConnectError(error, call.requestId);
  logCall(log, call, path, result);
  return result;
}

function isUnknownCall(req: NodeRequest, path: string): boolean {
  return req.method === 'POST' && RPC_PATH.test(path) && isRpc(header(req, 'content-type') ?? '');
}

/** Refuses a call to an unknown method as gRPC does; where HTTP itself has a status, it is 404. */
function refuse(log: CallLog, call: Call, req: NodeRequest, path: string): UniversalServerResponse {
  const error = new ConnectError(unknownMethod().message, Code.Unimplemented);
  const complete = completeError(log, call, path.slice(1), error);
  const answer = errorAnswer(header(req, 'content-type') ?? '', complete);
  return answer.status === 200 ? answer : { ...answer, status: 404 };
}

function header(req: NodeRequest, name: string): string | undefined {
  return headerText(req.headers[name]);
}
