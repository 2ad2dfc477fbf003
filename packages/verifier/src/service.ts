import { type CallOptions, type Client, createClient, type Transport } from '@connectrpc/connect';
import {
  ApiKeyService,
  type VerifyApiKeyResponse,
} from '../gen/countersign/v1/api_key_service_pb.ts';
import {
  type Actor as ActorMessage,
  type Principal as Message,
  PrincipalType,
} from '../gen/countersign/v1/principal_pb.ts';
import {
  SessionService,
  type WatchRevocationsResponse,
} from '../gen/countersign/v1/session_service_pb.ts';
import { unavailable } from './errors.ts';
import { Shared } from './memory.ts';
import { type Credential, headersOf } from './own-credential.ts';
import { type Actor, frozen, type Principal } from './principal.ts';
import { secondsOf } from './revocation-set.ts';

type ServiceParts = {
  readonly transport: Transport;
  readonly credential: Credential | undefined;
  readonly audience: string;
  readonly timeoutMs: number;
};

/** Countersign, as far as a verifier calls it. */
export class CountersignService {
  readonly #sessions: Client<typeof SessionService>;
  readonly #apiKeys: Client<typeof ApiKeyService>;
  readonly #parts: ServiceParts;
  readonly #asked = new Shared<Principal | undefined>();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#sessions = createClient(SessionService, parts.transport);
    this.#apiKeys = createClient(ApiKeyService, parts.transport);
  }

  /** Revocations, from a cursor on, until `signal` fires. */
  async *watch(cursor: string, signal: AbortSignal): AsyncGenerator<WatchRevocationsResponse> {
    const { credential, timeoutMs } = this.#parts;
    const headers = await headersOf(credential, timeoutMs);
    yield* this.#sessions.watchRevocations({ cursor }, { signal, headers, timeoutMs: 0 });
  }

  /** The principal of a token that is valid now; undefined if it is not. Throws if that is not known. */
  introspect(token: string): Promise<Principal | undefined> {
    const { audience } = this.#parts;
    return this.#asked.run(token, async () => {
      const { active, principal, expiresAt } = await this.#ask((options) =>
        this.#sessions.introspectToken({ token, audience }, options),
      );
      if (!active || !principal) return undefined;
      return principalOf(principal, [audience], secondsOf(expiresAt, 0));
    });
  }

  /** What the service says of an API key now. Throws if that is not known. */
  verifyApiKey(secret: string, ipAddress: string): Promise<VerifyApiKeyResponse> {
    return this.#ask((options) => this.#apiKeys.verifyApiKey({ secret, ipAddress }, options));
  }

  /** Whatever goes wrong says nothing about the credential in question. */
  async #ask<T>(call: (options: CallOptions) => Promise<T>): Promise<T> {
    const { credential, timeoutMs } = this.#parts;
    try {
      return await call({ timeoutMs, headers: await headersOf(credential, timeoutMs) });
    } catch (error) {
      throw unavailable('Countersign could not be asked about the credential', error);
    }
  }
}

/** A principal as the service describes it. */
export function principalOf(
  message: Message,
  audience: readonly string[],
  expiresAt: number,
): Principal {
  const { subject, sessionId, apiKeyId, emailVerified, roles, permissions, scopes, amr } = message;
  return frozen({
    type: typeOf(message),
    subject,
    sessionId,
    apiKeyId,
    tokenId: '',
    keyId: '',
    emailVerified,
    roles,
    permissions,
    scopes,
    amr,
    audience,
    authTime: Math.floor(secondsOf(message.authTime, 0)),
    // What is valid now is not one of the tokens that were revoked up to a moment.
    issuedAt: Number.POSITIVE_INFINITY,
    expiresAt,
    tokenVersion: undefined,
    actors: message.actors.map(actorOf),
  });
}

/** What acts now has not been revoked up to now either. */
function actorOf(message: ActorMessage): Actor {
  const { subject, apiKeyId } = message;
  const none = { tokenId: '', tokenVersion: undefined, issuedAt: Number.POSITIVE_INFINITY };
  return { ...none, type: typeOf(message), subject, apiKeyId };
}

function typeOf({ type }: { type: PrincipalType }): Principal['type'] {
  return type === PrincipalType.SERVICE_ACCOUNT ? 'service_account' : 'user';
}
