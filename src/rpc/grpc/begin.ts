import type { ServerHttp2Stream } from 'node:http2';
import { type Code, ConnectError } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import type { CallLog } from '../../platform/log.ts';
import type { Call, CallFactory } from '../call.ts';
import { timeLimit } from '../deadlines.ts';
import { deadlineExceeded, toConnectError } from '../errors.ts';
import { logCall } from '../interceptors/logging.ts';
import type { Limits } from '../limits.ts';
import { hasOddTimeout } from './http2.ts';
import { carry } from './metadata.ts';
import { Overdue } from './overdue.ts';
import { statusOf } from './status.ts';

const ODD_TIMEOUT = { code: grpc.status.INVALID_ARGUMENT, details: 'the deadline is odd' };

/** What grpc-js hands to interceptors, with what its types leave out. */
type Intercepted = grpc.ServerInterceptingCallInterface & {
  metadata: grpc.Metadata;
  stream: ServerHttp2Stream;
};
type PartialStatus = Parameters<grpc.ServerInterceptingCallInterface['sendStatus']>[0];

/**
 * Begins each call, before grpc-js has read any message of it. grpc-js answers some calls by itself
 * (messages over the limit, broken compression, a deadline that passed): it does so through the
 * call's own `sendStatus`, which is completed here with the details that every error of ours has.
 */
export function beginCall(
  calls: CallFactory,
  log: CallLog,
  limits: Limits,
): grpc.ServerInterceptor {
  const incomplete = new Overdue<Intercepted>(limits.bodyTimeoutMs, (rpc) => {
    rpc.sendStatus({ code: grpc.status.DEADLINE_EXCEEDED, details: deadlineExceeded().message });
  });
  return (method, intercepting) => {
    const rpc = intercepting as grpc.ServerInterceptingCallInterface as Intercepted;
    const header = (name: string) => rpc.metadata.get(name).join(', ') || undefined;
    const call = calls.begin(header, rpc.getConnectionInfo().remoteAddress);
    call.timeLimitMs = timeLimit(method.requestStream || method.responseStream, namedMs(rpc));
    carry(rpc.metadata, call);
    completeStatus(rpc, call, method.path, log);
    nameRequest(rpc, call);
    if (hasOddTimeout(rpc)) rpc.start = () => rpc.sendStatus(ODD_TIMEOUT);
    else guardRequest(rpc, incomplete, method.requestStream);
    // The type asks for the wrapper class, which would cost a second pass over every event.
    return rpc as grpc.ServerInterceptingCallInterface as grpc.ServerInterceptingCall;
  };
}

function namedMs(rpc: Intercepted): number | undefined {
  const deadline = Number(rpc.getDeadline());
  return Number.isFinite(deadline) ? Math.max(deadline - Date.now(), 0) : undefined;
}

function nameRequest(rpc: Intercepted, call: Call): void {
  const send = rpc.sendMetadata;
  rpc.sendMetadata = (metadata) => {
    metadata.set('x-request-id', call.requestId);
    send.call(rpc, metadata);
  };
}

function completeStatus(rpc: Intercepted, call: Call, path: string, log: CallLog): void {
  const send = rpc.sendStatus;
  let ended = false;
  rpc.sendStatus = (status) => {
    // Only the first counts: grpc-js says of each frame that follows that it is too large.
    send.call(rpc, ended ? status : completed(status, call, path, log));
    ended = true;
  };
}

function completed(status: PartialStatus, call: Call, path: string, log: CallLog): PartialStatus {
  if (!status.code || status.metadata?.get('grpc-status-details-bin').length) return status;
  const { code, details } = status;
  const thrown = new ConnectError(details ?? '', code as number as Code);
  const error = toConnectError(thrown, call.requestId);
  call.answered = error;
  if (!call.intercepted) logCall(log, call, path.slice(1), error);
  return statusOf(error, call);
}

/**
 * A caller who opens a call and then sends nothing holds a stream: until it is overdue among the
 * `incomplete`, and no longer, unless it may send a stream. And a request that its caller takes back
 * ends like one that is complete, as node:http2 has it: here it does not end.
 */
function guardRequest(
  rpc: Intercepted,
  incomplete: Overdue<Intercepted>,
  mayStream: boolean,
): void {
  const place = mayStream ? undefined : incomplete.add(rpc);
  const complete = () => place && incomplete.remove(place);
  const start = rpc.start;
  rpc.start = (listener) => {
    const { onReceiveHalfClose, onCancel } = listener;
    listener.onReceiveHalfClose = () => {
      complete();
      if (!rpc.stream.aborted) onReceiveHalfClose.call(listener);
    };
    listener.onCancel = () => {
      complete();
      onCancel.call(listener);
    };
    start.call(rpc, listener);
  };
}

/** grpc-js answers calls to unknown methods without a detail; it has no hook for them but this. */
export function answerUnknownMethods(server: grpc.Server): void {
  const handlers = Reflect.get(server, 'handlers') as Map<string, unknown>;
  const find = handlers.get.bind(handlers);
  handlers.get = (path) => find(path) ?? unknownMethod(path);
}

function unknownMethod(path: string) {
  return {
    type: 'bidi',
    path,
    serialize: (bytes: Buffer) => bytes,
    deserialize: (bytes: Buffer) => bytes,
    func: (call: grpc.ServerDuplexStream<Buffer, Buffer>) =>
      call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: '' }),
  };
}
