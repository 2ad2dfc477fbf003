import type { Socket } from 'node:net';
import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Interceptor } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { file_countersign_v1_error_reason } from '../../../gen/countersign/v1/error_reason_pb.ts';
import { file_google_rpc_error_details } from '../../../gen/google/rpc/error_details_pb.ts';
import { file_health_v1_health } from '../../../gen/health/v1/health_pb.ts';
import type { CallLog } from '../../platform/log.ts';
import { type Address, formatAddress, type TlsFiles } from '../../platform/net.ts';
import type { CallFactory } from '../call.ts';
import type { Limits } from '../limits.ts';
import type { Service } from '../services/service.ts';
import { addConnectService } from './adapter.ts';
import { answerUnknownMethods, beginCall } from './begin.ts';
import { guardGrpc, limitHttp2 } from './http2.ts';
import { UnaryStreams } from './unary.ts';

const TLS_REFRESH_MS = 1000;
/** No service of ours imports these; clients need them for health, and to show what errors hold. */
const FURTHER_FILES = [
  file_health_v1_health,
  file_countersign_v1_error_reason,
  file_google_rpc_error_details,
];

export type GrpcListenerDeps = {
  services: readonly Service[];
  interceptors: Interceptor[];
  calls: CallFactory;
  log: CallLog;
  tls: TlsFiles | undefined;
  limits: Limits;
};

/** The gRPC listener: our services with health and reflection, on @grpc/grpc-js. */
export class GrpcListener {
  readonly #server: grpc.Server;
  readonly #health: HealthImplementation;
  readonly #names: string[];
  readonly #tls: TlsFiles | undefined;
  readonly #limits: Limits;
  readonly #unary: UnaryStreams;
  #sockets: ReadonlySet<Socket> = new Set();

  constructor(deps: GrpcListenerDeps) {
    const { limits } = deps;
    // It would write headers that it can't read, credentials too, to standard error.
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    this.#tls = deps.tls;
    this.#limits = limits;
    this.#unary = new UnaryStreams(deps.services, deps);
    this.#names = ['', ...deps.services.map(({ descriptor }) => descriptor.typeName)];
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': limits.maxMessageBytes,
      'grpc.max_connection_age_ms': limits.maxConnectionAgeMs,
      'grpc.max_connection_age_grace_ms': limits.maxConnectionAgeGraceMs,
      'grpc.max_connection_idle_ms': limits.idleTimeoutMs,
      'grpc.keepalive_time_ms': limits.keepaliveMs,
      'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
      'grpc.enable_channelz': 0,
      interceptors: [beginCall(deps.calls, deps.log, limits)],
    });
    limitHttp2(this.#server, limits);
    for (const service of deps.services) {
      addConnectService(this.#server, service, deps);
    }
    this.#health = new HealthImplementation();
    this.#health.addToServer(this.#server);
    this.setServing(false);
    const files = deps.services.map(({ descriptor }) => descriptor.file);
    reflection([...files, ...FURTHER_FILES]).addToServer(this.#server);
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
      this.#server.bindAsync(formatAddress(address), credentials(this.#tls), (error, port) => {
        if (error) return reject(error);
        this.#sockets = guardGrpc(this.#server, this.#unary, this.#limits);
        resolve(port);
      });
    });
  }

  /** Sends GOAWAY, lets calls in flight finish for up to `graceMs`, and closes what is left. */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
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

/** Answers what reflection asks: these files and all that they import. */
function reflection(files: readonly DescFile[]): ReflectionService {
  const all = new Set<DescFile>();
  const add = (file: DescFile) => {
    for (const dependency of file.dependencies) add(dependency);
    all.add(file);
  };
  for (const file of files) add(file);
  // As they are: made by the loader out of its own types they would lose imports and scopes.
  const own = {
    format: 'Protocol Buffer 3 DescriptorProto',
    fileDescriptorProtos: [...all].map((file) =>
      Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)),
    ),
  } as MessageTypeDefinition<object, object>;
  return new ReflectionService({ countersign: own });
}
