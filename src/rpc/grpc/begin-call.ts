import { type Code, ConnectError } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import type { CallLog } from '../../platform/log.ts';
import type { Call, CallFactory } from '../call.ts';
import { timeLimit } from '../deadlines.ts';
import { toConnectError } from '../errors.ts';
import { deadlineExceeded } from '../failures.ts';
import { logCall } from '../interceptors/logging.ts';
import type { Limits } from '../limits.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { Overdue } from '../overdue.ts';
import { type Service, termsOf } from '../services/service.ts';
import type { Serving } from '../serving.ts';
import { holdOf } from '../stream-holds.ts';
import { ACCEPT_ENCODING, ENCODINGS } from './answers.ts';
import { guardRequest } from './guard-request.ts';
import { MessageDecoder } from './message-decoder.ts';
import { carry, okMetadata } from './metadata.ts';
import { type InnermostCall, isInnermostCall, replaceDecoder } from './node-internals.ts';
import { readWithCare } from './read-messages.ts';
import { oddHeader, receivedHeader } from './received-headers.ts';
import { statusOf } from './status.ts';
import type { UnknownInternals } from './unknown-internals.ts';

/** What a call of a streaming method costs (bytes) in addition to what any call costs. Measured. */
const STREAMING_BYTES = 16 * 1024;

type Method = grpc.ServerMethodDefinition<unknown, unknown>;
type PartialStatus = Parameters<grpc.ServerInterceptingCallInterface['sendStatus']>[0];

/**
 * Begins each call, before grpc-js has read any message of it. grpc-js answers some calls itself
 * (messages over the limit, broken compression, a deadline that has passed). It does so through the
 * innermost call's own `sendStatus`, which is replaced here, so that these answers have the details that
 * all errors have.
 */
export function beginCalls(
  { services, calls, log, limits }: Pick<Serving, 'services' | 'calls' | 'log' | 'limits'>,
  unknown: UnknownInternals,
): grpc.ServerInterceptor {
  const termsByPath = answeredTerms(services);
  const incomplete = new Overdue<InnermostCall>(limits.bodyTimeoutMs, (rpc) => {
    rpc.sendStatus({ code: grpc.status.DEADLINE_EXCEEDED, details: deadlineExceeded().message });
  });
  return (method, rpc) => {
    if (!isInnermostCall(rpc)) {
      unknown.add('innermostCall');
      return beginPlainly(calls, log, method, rpc);
    }
    const header = receivedHeader(rpc.stream);
    const call = begin(calls, method, rpc, rpc.metadata, header);
    call.hold = holdOf(rpc.stream);
    if (method.requestStream || method.responseStream) call.hold?.add(STREAMING_BYTES);
    completeStatus(rpc, call, method.path, log);
    nameRequest(rpc, call);
    readWithCare(rpc, limits.maxMessageBytes, unknown);
    const decoder = decoderOf(rpc, call, termsByPath.get(method.path), limits);
    if (!replaceDecoder(rpc, decoder)) unknown.add('decoder');
    const refusal = oddHeader(rpc.stream);
    if (refusal) rpc.start = () => rpc.sendStatus(refusal);
    else guardRequest(rpc, decoder, incomplete, method.requestStream);
    // The type asks for the wrapper class, which would pass on every event a second time.
    return rpc as grpc.ServerInterceptingCallInterface as grpc.ServerInterceptingCall;
  };
}

function decoderOf(
  rpc: InnermostCall,
  call: Call,
  terms: AnsweredTerms | undefined,
  limits: Limits,
): MessageDecoder {
  return new MessageDecoder(terms?.maxMessageBytes ?? limits.maxMessageBytes, call.hold, {
    refuse: () => {
      if (terms) answerOnce(rpc, terms.answer);
      else rpc.sendStatus({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'too large' });
    },
    giveBack: (rest) => {
      // grpc-js reads on when the message has been taken.
      rpc.stream.pause();
      rpc.stream.unshift(rest);
    },
  });
}

/** Terms with their answer in bytes. */
type AnsweredTerms = { maxMessageBytes: number; answer: Buffer };

/** The methods that have terms of their own, by path. */
export function answeredTerms(services: readonly Service[]): ReadonlyMap<string, AnsweredTerms> {
  const found = new Map<string, AnsweredTerms>();
  for (const each of services) {
    for (const method of each.descriptor.methods) {
      const terms = termsOf(each, method);
      if (!terms) continue;
      const answer = answerBytes(method.output, terms.answerToUnreadable);
      const path = `/${each.descriptor.typeName}/${method.name}`;
      found.set(path, { maxMessageBytes: terms.maxMessageBytes, answer });
    }
  }
  return found;
}

/** Answers a call of grpc-js before its request has been read. */
function answerOnce(rpc: InnermostCall, answer: Buffer): void {
  rpc.sendMetadata(new grpc.Metadata());
  rpc.sendMessage(answer, () => rpc.sendStatus({ code: grpc.status.OK, details: '' }));
}

/** Begins a call by the public interface of grpc-js alone. */
function beginPlainly(
  calls: CallFactory,
  log: CallLog,
  method: Method,
  rpc: grpc.ServerInterceptingCallInterface,
): grpc.ServerInterceptingCall {
  let call: Call | undefined;
  return new grpc.ServerInterceptingCall(rpc, {
    start: (next) =>
      next({
        onReceiveMetadata(metadata, proceed) {
          call = begin(calls, method, rpc, metadata);
          proceed(metadata);
        },
      }),
    sendMetadata(metadata, next) {
      if (call) metadata.set('x-request-id', call.requestId);
      next(metadata);
    },
    sendStatus: (status, next) => next(call ? completed(status, call, method.path, log) : status),
  });
}

function begin(
  calls: CallFactory,
  method: Method,
  rpc: grpc.ServerInterceptingCallInterface,
  metadata: grpc.Metadata,
  header = (name: string) => metadata.get(name).join(', ') || undefined,
): Call {
  const call = calls.begin(header, rpc.getConnectionInfo().remoteAddress, 'grpc');
  call.timeLimitMs = timeLimit(method.requestStream || method.responseStream, namedMs(rpc));
  carry(metadata, call);
  return call;
}

/** The time that the caller gives the call, if it names one. */
function namedMs(rpc: grpc.ServerInterceptingCallInterface): number | undefined {
  const deadline = Number(rpc.getDeadline());
  return Number.isFinite(deadline) ? Math.max(deadline - Date.now(), 0) : undefined;
}

function nameRequest(rpc: InnermostCall, call: Call): void {
  const send = rpc.sendMetadata;
  rpc.sendMetadata = (metadata) => {
    metadata.set('x-request-id', call.requestId);
    send.call(rpc, metadata);
  };
}

function completeStatus(rpc: InnermostCall, call: Call, path: string, log: CallLog): void {
  const send = rpc.sendStatus;
  let ended = false;
  rpc.sendStatus = (status) => {
    // To grpc-js, a caller who goes away during a write is an internal error. Nobody gets this status.
    if (rpc.stream.destroyed) return send.call(rpc, status);
    // Only the first counts: grpc-js reports every further frame of a message that is too large.
    const answer = ended ? status : completed(status, call, path, log);
    // grpc-js says in the headers of an answer what it can read, but not if the answer is a status
    // alone.
    if (!rpc.stream.headersSent) answer.metadata?.set(ACCEPT_ENCODING, ENCODINGS);
    send.call(rpc, answer);
    ended = true;
  };
}

/** A status with the details that all errors have. A call that no interceptor saw is logged here. */
function completed(status: PartialStatus, call: Call, path: string, log: CallLog): PartialStatus {
  if (!status.code) return { ...status, metadata: okMetadata(status.metadata) };
  if (status.metadata?.get('grpc-status-details-bin').length) return status;
  const { code, details } = status;
  const thrown = new ConnectError(details ?? '', code as number as Code);
  const error = toConnectError(thrown, call.requestId);
  call.answered = error;
  if (!call.intercepted) logCall(log, call, path.slice(1), error);
  return statusOf(error, call);
}
