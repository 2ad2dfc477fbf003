import * as grpc from '@grpc/grpc-js';
import type { TlsFiles } from '../../platform/net.ts';
import type { Limits } from '../limits.ts';

const TLS_REFRESH_MS = 1000;

/** What grpc-js itself lets us set. */
export function serverOptions(limits: Limits): grpc.ServerOptions {
  return {
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    'grpc.max_concurrent_streams': limits.maxStreams,
    'grpc-node.max_session_memory': limits.maxSessionMemoryMib,
    'grpc.max_connection_age_ms': limits.maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.maxConnectionAgeGraceMs,
    'grpc.max_connection_idle_ms': limits.idleTimeoutMs,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc.enable_channelz': 0,
  };
}

/** Reads certificates again when their files change. */
export function credentials(tls: TlsFiles | undefined): grpc.ServerCredentials {
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
