import { type EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Message } from '@bufbuild/protobuf';
import {
  createHandlerContext,
  type HandlerContext,
  type MethodImplSpec,
} from '@connectrpc/connect';
import { createAsyncIterable, transformInvokeImplementation } from '@connectrpc/connect/protocol';
import type * as grpc from '@grpc/grpc-js';
import { type Call, callOf, contextOf } from '../call.ts';
import type { Hold } from '../caller-connection.ts';
import { callerGone } from '../failures.ts';
import { MAX_DEADLINE_MS } from '../limits.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { parseRequest } from '../messages/parse-request.ts';
import type { Serving } from '../serving.ts';
import { drainedInTime } from '../slow-reader.ts';
import type { UnarySpec } from './compose-unary.ts';
import { connectionKey } from './connection-key.ts';
import { carriedBy, headersOf, metadataOf } from './metadata.ts';
import { failed } from './status.ts';

/** A message that has not been read yet, or that is written already. */
export type Raw = Buffer;
type StreamSpec = Exclude<MethodImplSpec, UnarySpec>;
type AnsweredOnce = grpc.ServerReadableStream<Raw, Raw>;
type AnsweredByStream = grpc.ServerWritableStream<Raw, Raw> | grpc.ServerDuplexStream<Raw, Raw>;
/** A message and what grpc-js makes of it, and about as much that is left over from making them. */
const COPIES = 4;
/** Says that nothing written is left. */
const WRITTEN = Symbol('written');

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

async function writeAll(
  spec: StreamSpec,
  { limits }: Serving,
  rpc: AnsweredByStream,
  messages: AsyncIterator<Message>,
  { signal, responseHeader, values }: HandlerContext,
): Promise<void> {
  const { hold } = callOf(values);
  try {
    let next = await messages.next();
    // Not before: until then the method may set some.
    rpc.sendMetadata(metadataOf(responseHeader));
    for (; !next.done; next = await messages.next()) {
      // Waits for a reader who takes nothing instead of buffering for it.
      const flushed = write(rpc, answerBytes(spec.method.output, next.value), hold);
      if (!flushed) await drainedInTime(once(rpc, 'drain', { signal }), limits.readerStallMs);
    }
  } catch (error) {
    // The source of the messages learns why they end: otherwise they would seem to be complete.
    await messages.throw?.(error);
    throw error;
  }
}

/** Writes a message, which counts until its caller takes it. Returns whether there is room for more. */
function write(rpc: AnsweredByStream, bytes: Raw, hold: Hold | undefined): boolean {
  const held = COPIES * bytes.length;
  hold?.add(held);
  return rpc.write(bytes, () => {
    hold?.add(-held);
    if (rpc.writableLength === 0) rpc.emit(WRITTEN);
  });
}

/**
 * Waits until grpc-js has handed on what was written. An error that comes earlier would destroy a call
 * whose requests are still read, and its caller would never get the status. Returns false if its caller
 * takes nothing, or has gone.
 */
async function flush(
  rpc: AnsweredByStream,
  signal: AbortSignal,
  limitMs: number,
): Promise<boolean> {
  if (rpc.writableLength === 0) return true;
  return drainedInTime(once(rpc, WRITTEN, { signal }), limitMs).then(
    () => true,
    () => false,
  );
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
