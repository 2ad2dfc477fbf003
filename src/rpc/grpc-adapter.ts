import { type EventEmitter, once } from 'node:events';
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import {
  type ConnectError,
  createHandlerContext,
  createMethodImplSpec,
  type HandlerContext,
  type Interceptor,
  type MethodImpl,
  type MethodImplSpec,
} from '@connectrpc/connect';
import {
  createAsyncIterable,
  invokeUnaryImplementation,
  transformInvokeImplementation,
} from '@connectrpc/connect/protocol';
import * as grpc from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { Failure } from '../platform/failure.ts';
import type { Log } from '../platform/log.ts';
import { type Call, contextOf } from './call.ts';
import { toConnectError } from './errors.ts';
import { logCall } from './interceptors/logging.ts';
import { MAX_DEADLINE_MS } from './limits.ts';
import type { Service } from './services.ts';

export type AdapterDeps = {
  interceptors: Interceptor[];
  log: Log;
  /** The call that began with this metadata. */
  callOf: (metadata: grpc.Metadata) => Call;
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
      return (call: grpc.ServerUnaryCall<Raw, Raw>, done: grpc.sendUnaryData<Raw>) =>
        void answerOnce(spec, deps, call, done, (context) =>
          invokeUnaryImplementation(spec, context, parse(spec, call.request), deps.interceptors),
        );
    case 'client_streaming':
      return (call: grpc.ServerReadableStream<Raw, Raw>, done: grpc.sendUnaryData<Raw>) =>
        void answerOnce(spec, deps, call, done, (context) =>
          only(transformInvokeImplementation(spec, context, deps.interceptors)(read(spec, call))),
        );
    case 'server_streaming':
      return (call: grpc.ServerWritableStream<Raw, Raw>) =>
        void answerMany(spec, deps, call, (context) => {
          const input = createAsyncIterable([parse(spec, call.request)]);
          return transformInvokeImplementation(spec, context, deps.interceptors)(input);
        });
    case 'bidi_streaming':
      return (call: grpc.ServerDuplexStream<Raw, Raw>) =>
        void answerMany(spec, deps, call, (context) =>
          transformInvokeImplementation(spec, context, deps.interceptors)(read(spec, call)),
        );
  }
}

async function answerOnce(
  spec: MethodImplSpec,
  deps: AdapterDeps,
  rpc: AnyCall,
  done: grpc.sendUnaryData<Raw>,
  invoke: (context: HandlerContext) => Promise<Message>,
): Promise<void> {
  const call = deps.callOf(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  try {
    const bytes = serialize(spec.method.output, await invoke(context));
    rpc.sendMetadata(metadataOf(context.responseHeader, call));
    done(null, bytes, metadataOf(context.responseTrailer));
  } catch (error) {
    done(failed(spec, deps, call, error));
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
  const call = deps.callOf(rpc.metadata);
  const context = contextFor(spec, rpc, call);
  try {
    rpc.sendMetadata(metadataOf(context.responseHeader, call));
    for await (const message of invoke(context)) {
      // A reader who takes nothing is waited for, not buffered for.
      const flushed = rpc.write(serialize(spec.method.output, message));
      if (!flushed) await once(rpc, 'drain', { signal: context.signal });
    }
    rpc.end(metadataOf(context.responseTrailer));
  } catch (error) {
    rpc.emit('error', failed(spec, deps, call, error));
  } finally {
    context.abort();
  }
}

function contextFor(
  spec: MethodImplSpec,
  rpc: AnyCall | grpc.ServerWritableStream<Raw, Raw>,
  call: Call,
) {
  const gone = new AbortController();
  (rpc as EventEmitter).once('cancelled', () => {
    gone.abort(new Failure('cancelled', 'CANCELLED', 'the caller went away'));
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

/** The status for what was thrown. What failed before the interceptors is logged here. */
function failed(spec: MethodImplSpec, deps: AdapterDeps, call: Call, thrown: unknown) {
  const error = toConnectError(thrown, call.requestId);
  if (!call.intercepted) {
    logCall(deps.log, call, `${spec.method.parent.typeName}/${spec.method.name}`, error);
  }
  return statusOf(error, call);
}

/** An error as a gRPC status, with its details in `grpc-status-details-bin`. */
export function statusOf(error: ConnectError, call: Call) {
  const metadata = metadataOf(error.metadata, call);
  const details = error.details.map((detail) => {
    if (!('desc' in detail)) throw new TypeError('a detail without its descriptor');
    return anyPack(detail.desc, create(detail.desc, detail.value));
  });
  const status = create(StatusSchema, { code: error.code, message: error.rawMessage, details });
  metadata.set('grpc-status-details-bin', serialize(StatusSchema, status));
  return { code: error.code as number as grpc.status, details: error.rawMessage, metadata };
}

function parse(spec: MethodImplSpec, bytes: Raw): Message {
  try {
    return fromBinary(spec.method.input, bytes);
  } catch (error) {
    throw new Failure(
      'invalid',
      'INVALID_REQUEST',
      'the request can not be read as its message',
      {},
      error,
    );
  }
}

async function* read(spec: MethodImplSpec, rpc: AsyncIterable<unknown>) {
  for await (const bytes of rpc) yield parse(spec, bytes as Raw);
}

async function only(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) return message;
  throw new Error('the method gave no answer');
}

function serialize(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function headersOf(metadata: grpc.Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata.toHttp2Headers())) {
    for (const each of [value].flat()) headers.append(name, String(each));
  }
  return headers;
}

function metadataOf(headers: Headers, call?: Call): grpc.Metadata {
  const metadata = new grpc.Metadata();
  headers.forEach((value, name) => {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  });
  if (call) metadata.set('x-request-id', call.requestId);
  return metadata;
}
