import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { createVerifier, type Verifier, VerifierError } from '../../packages/verifier/src/index.ts';
import type { VerifierOptions } from '../../packages/verifier/src/options.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import type { Service } from '../harness/service.ts';

/** The issuer of the services that tests start, and the audience unless they are told otherwise. */
const ISSUER = 'https://issuer.test';

/** A verifier of a service's tokens, by the Connect protocol, that is closed at the end. */
export function verifierOf(service: Service, options: Partial<VerifierOptions> = {}): Verifier {
  return verifierAt(`http://${service.app.httpAddress}`, options);
}

/** The same for a service at an address of its own. */
export function verifierAt(baseUrl: string, options: Partial<VerifierOptions> = {}): Verifier {
  const verifier = createVerifier({ issuer: ISSUER, audience: ISSUER, baseUrl, ...options });
  atEnd(() => verifier.close());
  return verifier;
}

/** What a verifier needs to call a service by gRPC. */
export function byGrpc(service: Service): Partial<VerifierOptions> {
  const baseUrl = `http://${service.app.grpcAddress}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  atEnd(() => sessionManager.abort());
  const jwksUrl = `http://${service.app.httpAddress}/.well-known/jwks.json`;
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return { transport, jwksUrl } as Partial<VerifierOptions>;
}

/** Why a verifier refuses a credential; undefined if it accepts it. */
export async function reasonAt(
  verifier: Verifier,
  credential: string,
): Promise<string | undefined> {
  try {
    await verifier.verify(credential);
    return undefined;
  } catch (error) {
    if (error instanceof VerifierError) return error.reason;
    throw error;
  }
}

/** Waits until a verifier says this of a credential. */
export function untilReason(verifier: Verifier, credential: string, reason: string | undefined) {
  return eventually(async () => (await reasonAt(verifier, credential)) === reason);
}

/** A clock that tests set, of a machine of its own. */
export class MachineClock {
  #wallMs = 0;
  #passedMs = 0;

  now(): number {
    return Date.now() + this.#wallMs + this.#passedMs;
  }

  monotonic(): number {
    return performance.now() + this.#passedMs;
  }

  /** Somebody sets it. */
  set(ms: number): void {
    this.#wallMs += ms;
  }

  /** Time passes. */
  pass(ms: number): void {
    this.#passedMs += ms;
  }
}
