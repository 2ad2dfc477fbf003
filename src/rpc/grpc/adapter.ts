import { type EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import {
  createHandlerContext,
  createMethodImplSpec,
  type HandlerContext,
  type Interceptor,
  type MethodImpl,
  type MethodImplSpec,
} from '@connectrpc/connect';
import { createAsyncIterable, transformInvokeImplementation } from '@connectrpc/connect/protocol';
import type * as grpc from '@grpc/grpc-js';
import type { CallLog } from '../../platform/log.ts';
import { type Call, contextOf } from '../call.ts';
import { callerGone } from '../errors.ts';
import { type Limits, MAX_DEADLINE_MS } from '../limits.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import { parseRequest } from '../request.ts';
import type { Service } from '../services/service.ts';
import { orTooSlow } from '../slow-reader.ts';
import { carriedBy, headersOf, metadataOf } from './metadata.ts';
import { failed } from './status.ts';
import { type Carrier, composeUnary, UnaryCall, type UnarySpec } from './unary-call.ts';

export type AdapterDeps = {
  interceptors: Interceptor[];
  log: CallLog;
  limits: Pick<Limits, 'readerStallMs'>;
};

type Raw = Buffer;
type AnyCall = grpc.ServerUnaryCall<Raw, Raw> | grpc.ServerReadableStream<Raw, Raw>;

/**
 * Serves a Connect service implementation by grpc-js, behind Connect interceptors. Messages pass
 * grpc-js as bytes and are read here, so that an unreadable one gets the same answer as by Connect.
 */
export function addConnectService(server: grpc.Server, service: Service, deps: AdapterDeps): void {
  const definition: Record<string, grpc.MethodDefinition<Raw, Raw>> = {};
  const handlers: Record<string, grpc.UntypedHandleCall> = {};
  for (const method of service.descriptor.methods) {
    const implementation = service.implementation[method.localName] as MethodImpl<DescMethod>;
    const spec = createMethodImplSpec(method, implementation);
    definition[method.localName] = {
      path: `/${service.descriptor.typeName}/${method.name}`,
      requestStream: spec.kind === 'client_streaming' || spec.kind === 'bidi_streaming',
      responseStream: spec.kind === 'server_streaming' || spec.kind === 'bidi_streaming',
      requestDeserialize: (bytes) => bytes,
      responseSerialize: (bytes) => bytes,
      requestSerialize: (bytes) => bytes,
      responseDeserialize: (bytes) => bytes,
    };
    handlers[method.localName] = handler(spec, deps);
  }
  server.addService(definition, handlers);
}

function handler(spec: MethodImplSpec, deps: AdapterDeps): grpc.UntypedHandleCall {
  switch (spec.kind) {
    case 'unary':
      return unaryHandler(spec, deps);
    case 'client_streaming':
      return (call: grpc.ServerReadableStream<Raw, Raw>, done: grpc.sendUnaryData<Raw>) =>
        void answerOnce(spec, deps, call, done, (context) =>
          only(transformInvokeImplementation(spec, context, deps.interceptors)(read(spec, call))),
        );
    case 'server_streaming':
      return (call: grpc.ServerWritableStream<Raw, Raw>) =>
        void answerMany(spec, deps, call, (context) => {
          const input = createAsyncIterable([parseRequest(spec.method.input, call.request)]);
          return transformInvokeImplementation(spec, context, deps.interceptors)(input);
        });
    case 'bidi_streaming':
      return (call: grpc.ServerDuplexStream<Raw, Raw>) =>
        void answerMany(spec, deps, call, (context) =>
          transformInvokeImplementation(spec, context, deps.interceptors)(read(spec, call)),
        );
  }
}

/** Calls that `grpc-unary.ts` leaves to grpc-js: compressed ones, and odd ones. */
function unaryHandler(spec: UnarySpec, deps: AdapterDeps): grpc.handleUnaryCall<Raw, Raw> {
  const invoke = composeUnary(spec, deps.interceptors);
  return async (rpc, done) => {
    const call = carriedBy(rpc.metadata);
    let unary: UnaryCall | undefined;
    try {
      const message = parseRequest(spec.method.input, rpc.request);
      unary = new UnaryCall(spec.method, message, contextOf(call), carrier(rpc));
      // grpc-js says so of every call that is over.
      rpc.on('cancelled', () => unary?.abandon());
      const answer = await invoke(unary);
      const bytes = answerBytes(spec.method.output, answer.message);
      const { header, trailer } = unary.sent;
      if (header) rpc.sendMetadata(metadataOf(header));
      done(null, bytes, trailer && metadataOf(trailer));
    } catch (error) {
      done(failed(spec.method, deps.log, call, error));
      unary?.end(error);
    } finally {
      unary?.end();
    }
  };
}

function carrier(rpc: grpc.ServerUnaryCall<Raw, Raw>): Carrier {
  return {
    path: rpc.getPath(),
    deadline: Number(rpc.getDeadline()),
    headers: headersOf(rpc.metadata),
  };
}

async function answerOnce(
  spec: MethodImplSpec,
  deps: AdapterDeps,
  rpc: AnyCall,
  done: grpc.sendUnaryData<Raw>,
  invoke: (context: HandlerContext) => Promise<Message>,
): Promise<void> {
  const call = carriedBy(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  try {
    const bytes = answerBytes(spec.method.output, await invoke(context));
    rpc.sendMetadata(metadataOf(context.responseHeader, call));
    done(null, bytes, metadataOf(context.responseTrailer));
  } catch (error) {
    done(failed(spec.method, deps.log, call, error));
  } finally {
    context.abort();
  }
}

async function answerMany(
  spec: MethodImplSpec,
  deps: AdapterDeps,
  rpc: grpc.ServerWritableStream<Raw, Raw> | grpc.ServerDuplexStream<Raw, Raw>,
  invoke: (context: HandlerContext) => AsyncIterable<Message>,
): Promise<void> {
  const call = carriedBy(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  try {
    rpc.sendMetadata(metadataOf(context.responseHeader, call));
    await writeAll(spec, deps, rpc, invoke(context)[Symbol.asyncIterator](), context.signal);
    rpc.end(metadataOf(context.responseTrailer));
  } catch (error) {
    rpc.emit('error', failed(spec.method, deps.log, call, error));
  } finally {
    context.abort();
  }
}

async function writeAll(
  spec: MethodImplSpec,
  { limits }: AdapterDeps,
  rpc: grpc.ServerWritableStream<Raw, Raw> | grpc.ServerDuplexStream<Raw, Raw>,
  messages: AsyncIterator<Message>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (let next = await messages.next(); !next.done; next = await messages.next()) {
      // A reader who takes nothing is waited for, not buffered for.
      const flushed = rpc.write(answerBytes(spec.method.output, next.value));
      if (!flushed) await orTooSlow(once(rpc, 'drain', { signal }), limits.readerStallMs);
    }
  } catch (error) {
    // Told to those who make the messages: that nobody reads on would look like their end to them.
    await messages.throw?.(error);
    throw error;
  }
}

function contextFor(
  spec: MethodImplSpec,
  rpc: AnyCall | grpc.ServerWritableStream<Raw, Raw>,
  call: Call,
) {
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
    contextValues: contextOf(call),
    ...timeout(rpc.getDeadline()),
  });
}

function timeout(deadline: grpc.Deadline): { timeoutMs?: number } {
  const remaining = Number(deadline) - Date.now();
  return remaining < MAX_DEADLINE_MS ? { timeoutMs: Math.max(remaining, 0) } : {};
}

async function* read(spec: MethodImplSpec, rpc: Readable) {
  // Left early, it would destroy the stream, and its answer with it.
  for await (const bytes of rpc.iterator({ destroyOnReturn: false })) {
    yield parseRequest(spec.method.input, bytes as Raw);
  }
}

async function only(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) return message;
  throw new Error('the method gave no answer');
}
