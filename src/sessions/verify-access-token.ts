import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { ACCESS_TOKEN_TYPE, type TokenSettings } from './access-token.ts';
import type { Principal } from './principal.ts';
import type { RevocationFeed } from './revocation-feed.ts';
import { isSeconds, parseClaims, principalOf } from './token-claims.ts';
import { jwsHeader, verifyJws } from './verify-jws.ts';

const MAX_TOKEN_BYTES = 4096;
const CACHED_TOKENS = 100_000;
const CLOCK_TOLERANCE_SECONDS = 5;
/** A JWS in compact form, RFC 7515 section 3.1. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export type VerifierDeps = {
  clock: Clock;
  keys: Pick<KeySet, 'find'>;
  tokens: Pick<TokenSettings, 'issuer'>;
  revocations: Pick<RevocationFeed, 'isStale' | 'look' | 'covers'>;
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
    return this.#verify(token).then((principal) => {
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
    if (this.#deps.revocations.covers(principal)) {
      throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the access token has been revoked');
    }
    return principal;
  }

  async #verify(token: string): Promise<Principal> {
    const { keys, tokens } = this.#deps;
    const header = jwsHeader(token);
    if (!header || !isAccessTokenType(header.typ)) throw invalidToken();
    const key = typeof header.kid === 'string' ? await keys.find(header.kid) : undefined;
    const payload = key && (await verifyJws(token, key));
    const claims = payload && parseClaims(payload);
    const principal = key && claims && principalOf(claims, key.id);
    if (!principal || claims['iss'] !== tokens.issuer) throw invalidToken();
    this.#checkBegun(principal.issuedAt);
    if (claims['nbf'] !== undefined) this.#checkBegun(claims['nbf']);
    return principal;
  }

  /** Clocks differ a little; a token from further in the future is not one of ours. */
  #checkBegun(time: unknown): void {
    const latest = this.#deps.clock.now().getTime() / 1000 + CLOCK_TOLERANCE_SECONDS;
    if (!isSeconds(time) || time > latest) throw invalidToken();
  }
}

/** RFC 9068, section 4: with or without `application/`, which RFC 7515 lets issuers leave out. */
function isAccessTokenType(typ: unknown): boolean {
  return (
    typeof typ === 'string' && typ.toLowerCase().replace('application/', '') === ACCESS_TOKEN_TYPE
  );
}

function invalidToken(): Failure {
  return new Failure('unauthenticated', 'TOKEN_INVALID', 'the access token is not valid');
}
