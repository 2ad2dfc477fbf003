import { hash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { ACCESS_TOKEN_TYPE, type TokenSettings } from './access-token.ts';
import type { Principal } from './principal.ts';
import type { RevocationFeed } from './revocation-feed.ts';

const MAX_TOKEN_BYTES = 4096;
const CACHED_TOKENS = 100_000;
const CLOCK_TOLERANCE_SECONDS = 5;
/** A JWS in compact form, RFC 7515 section 3.1. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export type VerifierDeps = {
  clock: Clock;
  keys: KeySet;
  tokens: Pick<TokenSettings, 'issuer'>;
  revocations: Pick<RevocationFeed, 'isStale' | 'look' | 'hasSession'>;
};

/**
 * Verifies access tokens. A token's signature is verified once; after that the token is known by its
 * digest, in a bounded cache. Time and revocations are checked on every call.
 */
export class AccessTokenVerifier {
  readonly #deps: VerifierDeps;
  readonly #known = new LRUCache<string, Principal>({ max: CACHED_TOKENS });

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  /**
   * The principal of an access token that is valid now (S01).
   *
   * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED` or `TOKEN_REVOKED` as `unauthenticated`; failures of the
   * database, where a key has to be looked up, pass as what they are.
   */
  verify(token: string): Principal | Promise<Principal> {
    // Before any parsing or cryptography (S03).
    if (token.length > MAX_TOKEN_BYTES || !COMPACT_JWS.test(token)) throw invalidToken();
    const digest = hash('sha256', token, 'base64url');
    const known = this.#known.get(digest);
    if (known) return this.#current(known);
    return this.#verifySignature(token).then((principal) => {
      this.#known.set(digest, principal);
      return this.#current(principal);
    });
  }

  /** Memory is trusted while it follows the database; after that the database is asked each time. */
  #current(principal: Principal): Principal | Promise<Principal> {
    const { revocations } = this.#deps;
    if (!revocations.isStale) return this.#live(principal);
    return revocations.look().then(() => this.#live(principal));
  }

  #live(principal: Principal): Principal {
    const now = this.#deps.clock.now().getTime() / 1000;
    if (principal.expiresAt <= now) {
      throw new Failure('unauthenticated', 'TOKEN_EXPIRED', 'the access token has expired');
    }
    if (this.#deps.revocations.hasSession(principal.sessionId)) {
      throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the session has been ended');
    }
    return principal;
  }

  async #verifySignature(token: string): Promise<Principal> {
    const { clock, keys, tokens } = this.#deps;
    try {
      const { payload } = await jwtVerify(
        token,
        async (header) => {
          const key = header.kid === undefined ? undefined : await keys.find(header.kid);
          // The key decides the algorithm, never the token.
          if (!key || key.algorithm !== header.alg) throw invalidToken();
          return key.key;
        },
        {
          typ: ACCESS_TOKEN_TYPE,
          algorithms: ['ES256', 'EdDSA', 'RS256'],
          issuer: tokens.issuer,
          currentDate: clock.now(),
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          requiredClaims: ['sub', 'aud', 'exp', 'iat', 'jti'],
        },
      );
      return principalOf(payload, clock.now().getTime() / 1000);
    } catch (error) {
      throw refusal(error);
    }
  }
}

function refusal(error: unknown): unknown {
  if (error instanceof Failure) return error;
  if (error instanceof errors.JWTExpired) {
    return new Failure('unauthenticated', 'TOKEN_EXPIRED', 'the access token has expired');
  }
  if (error instanceof errors.JOSEError || error instanceof TypeError) return invalidToken(error);
  return error;
}

function invalidToken(cause?: unknown): Failure {
  return new Failure(
    'unauthenticated',
    'TOKEN_INVALID',
    'the access token is not valid',
    {},
    cause,
  );
}

/** The claims as a principal; a missing or odd one is an invalid token (S04). */
function principalOf(claims: JWTPayload, nowSeconds: number): Principal {
  const { sub, sid, jti, iat, exp, scope, roles, amr, aud, auth_time: authTime } = claims;
  const audience = typeof aud === 'string' ? [aud] : aud;
  if (
    !isUuid(sub) ||
    !isUuid(sid) ||
    typeof jti !== 'string' ||
    !isSeconds(iat) ||
    !isSeconds(exp) ||
    !isSeconds(authTime) ||
    typeof scope !== 'string' ||
    !isTextList(roles) ||
    !isTextList(amr) ||
    !isTextList(audience) ||
    iat > nowSeconds + CLOCK_TOLERANCE_SECONDS
  ) {
    throw invalidToken();
  }
  const scopes = scope === '' ? [] : scope.split(' ');
  return Object.freeze({
    type: 'user' as const,
    subject: sub,
    sessionId: sid,
    tokenId: jti,
    emailVerified: claims['email_verified'] === true,
    roles,
    scopes,
    permissions: scopes,
    amr,
    audience,
    authTime,
    issuedAt: iat,
    expiresAt: exp,
  });
}

function isUuid(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
