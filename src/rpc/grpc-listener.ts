import { create, type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { Failure } from '../platform/failure.ts';
import type { Log } from '../platform/log.ts';
import { type Address, formatAddress, type TlsFiles } from '../platform/net.ts';
import type { Call, CallFactory } from './call.ts';
import { deadlineExceeded, toConnectError } from './errors.ts';
import { addConnectService, statusOf } from './grpc-adapter.ts';
import { logCall } from './interceptors/logging.ts';
import * as limits from './limits.ts';
import type { Service } from './services.ts';

const TLS_REFRESH_MS = 1000;

export type GrpcListenerDeps = {
  services: readonly Service[];
  interceptors: Interceptor[];
  calls: CallFactory;
  log: Log;
  tls: TlsFiles | undefined;
};

/** The gRPC listener: our services with health and reflection, on @grpc/grpc-js. */
export class GrpcListener {
  readonly #server: grpc.Server;
  readonly #health: HealthImplementation;
  readonly #names: string[];
  readonly #tls: TlsFiles | undefined;

  constructor(deps: GrpcListenerDeps) {
    const calls = new WeakMap<grpc.Metadata, Call>();
    const callOf = (metadata: grpc.Metadata) => {
      const call = calls.get(metadata);
      if (!call) throw new Error('a call that never began');
      return call;
    };
    this.#tls = deps.tls;
    this.#names = ['', ...deps.services.map(({ descriptor }) => descriptor.typeName)];
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': limits.MAX_MESSAGE_BYTES,
      'grpc.max_metadata_size': limits.MAX_HEADER_BYTES,
      'grpc.max_concurrent_streams': limits.MAX_STREAMS,
      'grpc.max_connection_age_ms': limits.MAX_CONNECTION_AGE_MS,
      'grpc.max_connection_age_grace_ms': limits.MAX_CONNECTION_AGE_GRACE_MS,
      'grpc.max_connection_idle_ms': limits.IDLE_TIMEOUT_MS,
      'grpc.keepalive_time_ms': limits.KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': limits.KEEPALIVE_TIMEOUT_MS,
      'grpc-node.max_session_memory': limits.MAX_SESSION_MEMORY_MIB,
      'grpc.enable_channelz': 0,
      interceptors: [beginCall(deps, calls)],
    });
    for (const service of deps.services) {
      addConnectService(this.#server, service, { ...deps, callOf });
    }
    this.#health = new HealthImplementation();
    this.#health.addToServer(this.#server);
    this.setServing(false);
    reflection(deps.services.map(({ descriptor }) => descriptor.file)).addToServer(this.#server);
    answerUnknownMethods(this.#server);
  }

  /** What `grpc.health.v1` says of every service. */
  setServing(serving: boolean): void {
    for (const name of this.#names) {
      this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /** Gives the port it got. */
  listen(address: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(formatAddress(address), credentials(this.#tls), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
  }

  /** Sends GOAWAY, lets calls in flight finish for up to `graceMs`, and closes what is left. */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#server.forceShutdown(), graceMs);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(timer);
  }
}

function credentials(tls: TlsFiles | undefined): grpc.ServerCredentials {
  if (!tls) return grpc.ServerCredentials.createInsecure();
  const files = new grpc.experimental.FileWatcherCertificateProvider({
    certificateFile: tls.certFile,
    privateKeyFile: tls.keyFile,
    caCertificateFile: tls.clientCaFile,
    refreshIntervalMs: TLS_REFRESH_MS,
  });
  return grpc.experimental.createCertificateProviderServerCredentials(
    files,
    tls.clientCaFile === undefined ? null : files,
    tls.clientCaFile !== undefined,
  );
}

/** Answers what reflection asks: our files and all that they import, and health. */
function reflection(files: readonly DescFile[]): ReflectionService {
  const all = new Set<DescFile>();
  const add = (file: DescFile) => {
    for (const dependency of file.dependencies) add(dependency);
    all.add(file);
  };
  for (const file of files) add(file);
  const set = create(FileDescriptorSetSchema, { file: [...all].map((file) => file.proto) });
  const own = loadFileDescriptorSetFromBuffer(Buffer.from(toBinary(FileDescriptorSetSchema, set)));
  return new ReflectionService({ ...own, ...loadSync(healthProto) });
}

type InterceptedCall = grpc.ServerInterceptingCallInterface & { metadata: grpc.Metadata };
type PartialStatus = Parameters<grpc.ServerInterceptingCallInterface['sendStatus']>[0];

/**
 * Begins each call, before grpc-js has read any message of it. grpc-js answers some calls by itself
 * (messages over the limit, broken compression, a deadline that passed): it does so through the
 * call's own `sendStatus`, which is completed here with the details that every error of ours has.
 */
function beginCall(
  { calls, log }: GrpcListenerDeps,
  begun: WeakMap<grpc.Metadata, Call>,
): grpc.ServerInterceptor {
  return (method, intercepting) => {
    const rpc = intercepting as InterceptedCall;
    const header = (name: string) => rpc.metadata.get(name)[0]?.toString();
    const call = calls.begin(header, rpc.getConnectionInfo().remoteAddress);
    begun.set(rpc.metadata, call);
    const send = rpc.sendStatus;
    rpc.sendStatus = (status) => send.call(rpc, completed(status, call, method.path, log));
    if (!method.requestStream) limitBodyTime(rpc);
    // The type asks for the wrapper class, which would cost a second pass over every event.
    return rpc as grpc.ServerInterceptingCallInterface as grpc.ServerInterceptingCall;
  };
}

function completed(status: PartialStatus, call: Call, path: string, log: Log): PartialStatus {
  if (!status.code || status.metadata?.get('grpc-status-details-bin').length) return status;
  const error = toConnectError(libraryError(status), call.requestId);
  if (!call.intercepted) logCall(log, call, path.slice(1), error);
  return statusOf(error, call);
}

/** What grpc-js says, told apart from what is a failure of ours. */
function libraryError({ code, details }: PartialStatus): unknown {
  if (code === grpc.status.INTERNAL && /Invalid grpc-timeout|decompress/.test(details ?? '')) {
    return new Failure('invalid', 'INVALID_REQUEST', details ?? '');
  }
  return new ConnectError(details ?? '', code as number as Code);
}

/** A caller who opens a call and then sends nothing holds a stream: for so long, and no longer. */
function limitBodyTime(rpc: InterceptedCall): void {
  const timer = setTimeout(() => {
    rpc.sendStatus({ code: grpc.status.DEADLINE_EXCEEDED, details: deadlineExceeded().message });
  }, limits.BODY_TIMEOUT_MS);
  const start = rpc.start;
  rpc.start = (listener) => {
    const { onReceiveHalfClose, onCancel } = listener;
    listener.onReceiveHalfClose = () => {
      clearTimeout(timer);
      onReceiveHalfClose.call(listener);
    };
    listener.onCancel = () => {
      clearTimeout(timer);
      onCancel.call(listener);
    };
    start.call(rpc, listener);
  };
}

/** grpc-js answers calls to unknown methods without a detail; it has no hook for them but this. */
function answerUnknownMethods(server: grpc.Server): void {
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
      call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: 'there is no such method' }),
  };
}
