import * as grpc from '@grpc/grpc-js';
import type { Certificates } from '../../platform/certificates.ts';
import type { Limits } from '../limits.ts';

/** What grpc-js itself lets us set; `maxMessageBytes` is what the method with the largest may take. */
export function serverOptions(limits: Limits, maxMessageBytes: number): grpc.ServerOptions {
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': 2 * limits.maxStreams,
    'grpc-node.max_session_memory': limits.maxSessionMemoryMib,
    'grpc.max_connection_age_ms': limits.maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.maxConnectionAgeGraceMs,
    'grpc.max_connection_idle_ms': limits.idleTimeoutMs,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc.enable_channelz': 0,
  };
}

/** Credentials that change with the certificates, for new connections. */
export function credentials(certificates: Certificates | undefined): grpc.ServerCredentials {
  if (!certificates) return grpc.ServerCredentials.createInsecure();
  const provider = new CertificateProvider(certificates);
  const asksClients = certificates.current.ca !== undefined;
  return grpc.experimental.createCertificateProviderServerCredentials(
    provider,
    asksClients ? provider : null,
    asksClients,
  );
}

/** Certificates in the form that grpc-js asks for. */
class CertificateProvider implements grpc.experimental.CertificateProvider {
  readonly #certificates: Certificates;
  readonly #ends = new Map<object, () => void>();

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
  }

  addIdentityCertificateListener(listener: grpc.experimental.IdentityCertificateUpdateListener) {
    this.#add(listener, () => {
      const { cert: certificate, key: privateKey } = this.#certificates.current;
      listener({ certificate, privateKey });
    });
  }

  addCaCertificateListener(listener: grpc.experimental.CaCertificateUpdateListener) {
    this.#add(listener, () => {
      const { ca: caCertificate } = this.#certificates.current;
      listener(caCertificate ? { caCertificate } : null);
    });
  }

  removeIdentityCertificateListener(listener: object) {
    this.#remove(listener);
  }

  removeCaCertificateListener(listener: object) {
    this.#remove(listener);
  }

  #add(listener: object, tell: () => void): void {
    this.#ends.set(listener, this.#certificates.onChange(tell));
    // Not at once: the code that adds a listener is not ready to hear from it yet.
    queueMicrotask(tell);
  }

  #remove(listener: object): void {
    this.#ends.get(listener)?.();
    this.#ends.delete(listener);
  }
}
