import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import type { Message } from '@bufbuild/protobuf';
import {
  createHandlerContext,
  type HandlerContext,
  type MethodImplSpec,
} from '@connectrpc/connect';
import { createAsyncIterable, transformInvokeImplementation } from '@connectrpc/connect/protocol';
import type * as grpc from '@grpc/grpc-js';
import { type Call, contextOf } from '../call.ts';
import { callerGone } from '../failures.ts';
import { MAX_DEADLINE_MS } from '../limits.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { parseRequest } from '../messages/parse-request.ts';
import type { Serving } from '../serving.ts';
import type { UnarySpec } from '../unary/compose-unary.ts';
import { connectionKey } from './connection-key.ts';
import { carriedBy, headersOf, metadataOf } from './metadata.ts';
import { failed } from './status.ts';
import { type AnsweredByStream, flush, type Raw, writeAll } from './stream-answers.ts';

type StreamSpec = Exclude<MethodImplSpec, UnarySpec>;
type AnsweredOnce = grpc.ServerReadableStream<Raw, Raw>;
type Answers = (context: HandlerContext) => AsyncIterable<Message>;

/** Serves a method that streams its requests, its answers or both, in the form that grpc-js wants. */
export function streamHandler(spec: StreamSpec, serving: Serving): grpc.UntypedHandleCall {
  const invoke = (context: HandlerContext, requests: AsyncIterable<Message>) =>
    transformInvokeImplementation(spec, context, serving.interceptors)(requests);
  switch (spec.kind) {
    case 'client_streaming':
      return (rpc: AnsweredOnce, done: grpc.sendUnaryData<Raw>) =>
        void answerOnce(spec, serving, rpc, done, (context) => invoke(context, read(spec, rpc)));
    case 'server_streaming':
      return (rpc: grpc.ServerWritableStream<Raw, Raw>) =>
        void answerByStream(spec, serving, rpc, (context) =>
          invoke(context, createAsyncIterable([parseRequest(spec.method.input, rpc.request)])),
        );
    case 'bidi_streaming':
      return (rpc: grpc.ServerDuplexStream<Raw, Raw>) =>
        void answerByStream(spec, serving, rpc, (context) => invoke(context, read(spec, rpc)));
  }
}

async function answerOnce(
  spec: StreamSpec,
  { log }: Serving,
  rpc: AnsweredOnce,
  done: grpc.sendUnaryData<Raw>,
  answers: Answers,
): Promise<void> {
  const call = carriedBy(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  try {
    const bytes = answerBytes(spec.method.output, await only(answers(context)));
    rpc.sendMetadata(metadataOf(context.responseHeader));
    done(null, bytes, metadataOf(context.responseTrailer));
  } catch (error) {
    const sent = { header: context.responseHeader, trailer: context.responseTrailer };
    done(failed(spec.method, log, call, error, sent));
  } finally {
    context.abort();
  }
}

async function answerByStream(
  spec: StreamSpec,
  serving: Serving,
  rpc: AnsweredByStream,
  answers: Answers,
): Promise<void> {
  const call = carriedBy(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  const { responseHeader: header, responseTrailer: trailer } = context;
  try {
    const messages = answers(context)[Symbol.asyncIterator]();
    await writeAll(spec, serving, rpc, messages, context);
    rpc.end(metadataOf(trailer));
  } catch (error) {
    const isTaken = await flush(rpc, context.signal, serving.limits.readerStallMs);
    // An error that comes first has one block of headers, unless the method has set some.
    if (!header.keys().next().done) rpc.sendMetadata(metadataOf(header));
    const sent = { header: undefined, trailer };
    rpc.emit('error', failed(spec.method, serving.log, call, error, sent));
    // Its requests, which are still read, have just ended with the error, and the status with them.
    if (!isTaken && spec.kind === 'bidi_streaming') call.hold?.refuse();
  } finally {
    context.abort();
  }
}

function contextFor(spec: StreamSpec, rpc: AnsweredOnce | AnsweredByStream, call: Call) {
  const gone = new AbortController();
  (rpc as EventEmitter).once('cancelled', () => {
    gone.abort(call.answered ?? callerGone());
  });
  return createHandlerContext({
    service: spec.method.parent,
    method: spec.method,
    protocolName: 'grpc',
    requestMethod: 'POST',
    url: `http://localhost${rpc.getPath()}`,
    requestSignal: gone.signal,
    requestHeader: headersOf(rpc.metadata),
    contextValues: contextOf(call).set(connectionKey, rpc.getPeer()),
    ...timeout(rpc.getDeadline()),
  });
}

function timeout(deadline: grpc.Deadline): { timeoutMs?: number } {
  const remaining = Number(deadline) - Date.now();
  return remaining < MAX_DEADLINE_MS ? { timeoutMs: Math.max(remaining, 0) } : {};
}

async function* read(spec: StreamSpec, rpc: Readable) {
  // If it were left early, it would destroy the stream, and the answer with it.
  for await (const bytes of rpc.iterator({ destroyOnReturn: false })) {
    yield parseRequest(spec.method.input, bytes as Raw);
  }
}

async function only(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) return message;
  throw new Error('the method gave no answer');
}
