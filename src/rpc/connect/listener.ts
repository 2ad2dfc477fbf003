import { Code, ConnectError, createConnectRouter, type Interceptor } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import { type CallLog, errorFields } from '../../platform/log.ts';
import type { Call, CallFactory } from '../call.ts';
import { limitConnectDeadline } from '../deadlines.ts';
import { toConnectError, unknownMethod } from '../errors.ts';
import { logCall } from '../interceptors/logging.ts';
import type { Limits } from '../limits.ts';
import type { Service } from '../services/service.ts';
import { completed, errorAnswer, isRpc } from './errors.ts';
import {
  type NodeRequest,
  type NodeResponse,
  universalRequest,
  writeAnswer,
} from './node-bridge.ts';

export type ConnectListenerDeps = {
  services: readonly Service[];
  interceptors: Interceptor[];
  calls: CallFactory;
  log: CallLog;
  limits: Limits;
};

/** The path of an RPC: `/package.Service/Method`. */
const RPC_PATH = /^\/\w+(?:\.\w+)+\/\w+$/;

/**
 * Serves the Connect and gRPC-Web protocols to Node requests. The returned function says whether the
 * request was a call, and answers it if so.
 */
export function connectListener(
  deps: ConnectListenerDeps,
): (req: NodeRequest, res: NodeResponse) => boolean {
  const handlers = new Map(handlersOf(deps).map((each) => [each.requestPath, each]));
  return (req, res) => {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    const handler = handlers.get(path);
    if (!handler && !isUnknownCall(req, path)) return false;
    const call = deps.calls.begin((name) => header(req, name), req.socket.remoteAddress);
    res.setHeader('x-request-id', call.requestId);
    const answered = handler
      ? answer(handler, deps, call, req, res)
      : writeAnswer(refuse(deps.log, call, req, path), res);
    answered.catch((error) => {
      deps.log.debug({ request_id: call.requestId, ...errorFields(error) }, 'answer not delivered');
      res.destroy();
    });
    return true;
  };
}

function handlersOf({ services, interceptors, limits }: ConnectListenerDeps): UniversalHandler[] {
  const router = createConnectRouter({
    grpc: false,
    interceptors,
    readMaxBytes: limits.maxMessageBytes,
    jsonOptions: { ignoreUnknownFields: false },
    acceptCompression: [compressionGzip, compressionBrotli],
    // Answers hold tokens beside what callers chose: they are not compressed (BREACH).
    compressMinBytes: 0xffffffff,
  });
  for (const { descriptor, implementation } of services) {
    router.service(descriptor, implementation);
  }
  return router.handlers;
}

async function answer(
  handler: UniversalHandler,
  { log, limits }: ConnectListenerDeps,
  call: Call,
  req: NodeRequest,
  res: NodeResponse,
): Promise<void> {
  const { methodKind } = handler.method;
  call.timeLimitMs = limitConnectDeadline(req.headers, methodKind !== 'unary');
  const sentAtOnce = methodKind === 'unary' || methodKind === 'server_streaming';
  const bodyMs = sentAtOnce
    ? Math.min(limits.bodyTimeoutMs, call.timeLimitMs ?? Infinity)
    : undefined;
  const gone = new AbortController();
  const universal = await handler(universalRequest(req, res, call, bodyMs, gone));
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

/** Refuses a call to a method that is not there, as gRPC would. */
function refuse(log: CallLog, call: Call, req: NodeRequest, path: string): UniversalServerResponse {
  const error = new ConnectError(unknownMethod().message, Code.Unimplemented);
  return errorAnswer(
    header(req, 'content-type') ?? '',
    completeError(log, call, path.slice(1), error),
  );
}

function header(req: NodeRequest, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
