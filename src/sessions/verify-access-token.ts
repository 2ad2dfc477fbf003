import { hash } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import type { RoleBook } from '../access/role-book.ts';
import type { CacheSizes } from '../platform/cache-sizes.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { lruCache } from '../platform/lru-cache.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { ACCESS_TOKEN_TYPE, MAX_TOKEN_BYTES } from './access-token.ts';
import { isSeconds } from './claim-values.ts';
import type { Principal } from './principal.ts';
import { type CheckSource, TokenChecks } from './token-checks.ts';
import { parseClaims, principalOf } from './token-claims.ts';
import { jwsHeader, verifyJws } from './verify-jws.ts';

const CLOCK_TOLERANCE_SECONDS = 5;
/** A JWS in compact form, RFC 7515 section 3.1. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

type VerifierParts = {
  caches: Pick<CacheSizes, 'tokens'>;
  clock: Clock;
  keys: Pick<KeySet, 'find' | 'has'>;
  tokens: { issuer: string };
  revocations: Pick<RevocationFeed, 'isStale' | 'look' | 'covers' | 'coversKey'>;
  roles: Pick<RoleBook, 'isStale' | 'look' | 'permissionsOf' | 'version'>;
};

/** A principal, and the version of the role book from which its permissions follow. */
type Known = { principal: Principal; version: number };

/**
 * Verifies access tokens. A token's signature is verified once; after that a bounded cache knows the
 * token by its digest. Time, revocations and roles are checked on every call.
 */
export class AccessTokenVerifier {
  /** What the checks came to. */
  readonly checks = new TokenChecks('access_token');
  readonly #parts: VerifierParts;
  readonly #known: LRUCache<string, Known>;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
    this.#known = lruCache(parts.caches.tokens);
  }

  /**
   * Returns the principal of an access token that is valid now (S01).
   *
   * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED` or `TOKEN_REVOKED`. If a key has to be looked up and the
   * database fails, throws that failure.
   */
  verify(token: string): Principal | Promise<Principal> {
    try {
      // Before any parsing or cryptography (S03).
      if (token.length > MAX_TOKEN_BYTES || !COMPACT_JWS.test(token)) throw invalidToken();
      const digest = hash('sha256', token, 'base64url');
      const known = this.#known.get(digest);
      const { revocations, roles } = this.#parts;
      const isStale = revocations.isStale || roles.isStale;
      if (known && !isStale) {
        const principal = this.#live(known);
        this.checks.fromMemory.value += 1;
        return principal;
      }
      const checked = known ? this.#current(known) : this.#first(token, digest);
      return this.#counted(checked, isStale ? 'database' : 'signature');
    } catch (error) {
      this.checks.failed(error, 'memory');
      throw error;
    }
  }

  async #counted(checked: Principal | Promise<Principal>, source: CheckSource): Promise<Principal> {
    try {
      const principal = await checked;
      this.checks.note('valid', source);
      return principal;
    } catch (error) {
      this.checks.failed(error, source);
      throw error;
    }
  }

  /** A token that this replica does not know yet. */
  #first(token: string, digest: string): Promise<Principal> {
    return this.#verify(token).then((principal) => {
      // Of several calls at once, all get the same principal, by which answers are kept.
      const fresh = this.#known.get(digest) ?? { principal, version: -1 };
      this.#known.set(digest, fresh);
      return this.#current(fresh);
    });
  }

  /** Trusts memory while it follows the database; otherwise asks the database first. */
  #current(known: Known): Principal | Promise<Principal> {
    const { revocations, roles } = this.#parts;
    if (!revocations.isStale && !roles.isStale) return this.#live(known);
    return Promise.all([
      revocations.isStale && revocations.look(),
      roles.isStale && roles.look(),
    ]).then(() => this.#live(known));
  }

  #live(known: Known): Principal {
    if (known.version !== this.#parts.roles.version) this.#narrow(known);
    const { principal } = known;
    const now = this.#parts.clock.now().getTime() / 1000;
    if (principal.expiresAt <= now) {
      throw new Failure('unauthenticated', 'TOKEN_EXPIRED', 'the access token has expired');
    }
    if (this.#parts.revocations.covers(principal)) throw revokedToken();
    // A token forged with a revoked key may carry an expiry beyond the revocation's.
    if (!this.#parts.keys.has(principal.keyId)) throw invalidToken();
    return principal;
  }

  /**
   * Limits the token's permissions to what the owner's roles allow now (S09), and those of whoever acts
   * for the owner (A09). If nothing changes, the principal stays the same object, since answers are
   * cached by it.
   */
  #narrow(known: Known): void {
    const { roles } = this.#parts;
    const { principal } = known;
    known.version = roles.version;
    const allowed = [principal, ...principal.actors].map(
      ({ ownerRoles }) => new Set(roles.permissionsOf(ownerRoles)),
    );
    const permissions = principal.scopes.filter((scope) => allowed.every((own) => own.has(scope)));
    if (String(permissions) === String(principal.permissions)) return;
    known.principal = Object.freeze({ ...principal, permissions });
  }

  async #verify(token: string): Promise<Principal> {
    const { keys, tokens, revocations } = this.#parts;
    const header = jwsHeader(token);
    const kid = header?.kid;
    if (!header || !isAccessTokenType(header.typ) || typeof kid !== 'string') throw invalidToken();
    if (revocations.coversKey(kid)) throw revokedToken();
    const key = await keys.find(kid);
    const payload = key && (await verifyJws(token, key));
    const claims = payload && parseClaims(payload);
    const principal = key && claims && principalOf(claims, key.id);
    if (!principal || claims['iss'] !== tokens.issuer) throw invalidToken();
    this.#checkBegun(principal.issuedAt);
    if (claims['nbf'] !== undefined) this.#checkBegun(claims['nbf']);
    return principal;
  }

  /** Allows for clocks that differ a little, and refuses a token from further in the future. */
  #checkBegun(time: unknown): void {
    const latest = this.#parts.clock.now().getTime() / 1000 + CLOCK_TOLERANCE_SECONDS;
    if (!isSeconds(time) || time > latest) throw invalidToken();
  }
}

/** With or without `application/`, which RFC 7515 lets issuers omit (RFC 9068, section 4). */
function isAccessTokenType(typ: unknown): boolean {
  return (
    typeof typ === 'string' && typ.toLowerCase().replace('application/', '') === ACCESS_TOKEN_TYPE
  );
}

function revokedToken(): Failure {
  return new Failure('unauthenticated', 'TOKEN_REVOKED', 'the access token has been revoked');
}

function invalidToken(): Failure {
  return new Failure('unauthenticated', 'TOKEN_INVALID', 'the access token is not valid');
}
