import type { LRUCache } from 'lru-cache';
import type { RoleBook } from '../access/role-book.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { CacheSizes } from '../platform/cache-sizes.ts';
import type { Clock } from '../platform/clock.ts';
import { lruCache } from '../platform/lru-cache.ts';
import { MAX_TOKEN_BYTES } from '../sessions/access-token.ts';
import { issueDerivedToken } from '../sessions/derived-token.ts';
import type { Principal } from '../sessions/principal.ts';
import type { KeySet } from '../signing-keys/key-set.ts';

const TTL_MS = 5 * 60_000;

type Parts = {
  caches: Pick<CacheSizes, 'answers'>;
  clock: Clock;
  keys: Pick<KeySet, 'signingKey' | 'has'>;
  tokens: { issuer: string };
  roles: Pick<RoleBook, 'requireRecent'>;
  apiKeyMemory: Pick<ApiKeyMemory, 'requireRecent'>;
};

/** A token that has been issued. Times in milliseconds. */
type Issued = { token: string; keyId: string; renewAtMs: number };
type Kept = { issued: Issued | undefined; issuing: Promise<string> | undefined };

/**
 * Exchanges credentials at the edge for short-lived tokens for the services behind it (RFC 8693), which
 * name the same session or API key, so that a revocation reaches them. A token is kept for its
 * principal and audience, and renewed once half of its life is over.
 */
export class InternalTokens {
  readonly #parts: Parts;
  readonly #kept: LRUCache<Principal, Map<string, Kept>>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#kept = lruCache(parts.caches.answers);
  }

  /**
   * Returns a token of `principal` for `audience`; it lasts five minutes, and no longer than the
   * principal's credential. Empty if it would be longer than 4 KiB, which nobody would take.
   */
  tokenFor(principal: Principal, audience: string): string | Promise<string> {
    const kept = this.#keptFor(principal, audience);
    const { issued } = kept;
    const nowMs = this.#parts.clock.now().getTime();
    const { keys } = this.#parts;
    // A key can be revoked before its tokens expire.
    if (issued && nowMs < issued.renewAtMs && keys.has(issued.keyId)) return issued.token;
    // All who ask meanwhile wait for the same one.
    kept.issuing ??= this.#renew(principal, audience, kept).finally(() => {
      kept.issuing = undefined;
    });
    return kept.issuing;
  }

  #keptFor(principal: Principal, audience: string): Kept {
    let ofPrincipal = this.#kept.get(principal);
    if (!ofPrincipal) {
      ofPrincipal = new Map();
      this.#kept.set(principal, ofPrincipal);
    }
    let kept = ofPrincipal.get(audience);
    if (!kept) {
      kept = { issued: undefined, issuing: undefined };
      ofPrincipal.set(audience, kept);
    }
    return kept;
  }

  async #renew(principal: Principal, audience: string, kept: Kept): Promise<string> {
    const { clock, roles, apiKeyMemory } = this.#parts;
    await Promise.all([roles.requireRecent(), apiKeyMemory.requireRecent()]);
    const wanted = { audience, scopes: principal.permissions, ttlMs: TTL_MS };
    const { accessToken, expiresAt, keyId } = await issueDerivedToken(
      this.#parts,
      principal,
      wanted,
    );
    const token = accessToken.length > MAX_TOKEN_BYTES ? '' : accessToken;
    const renewAtMs = (clock.now().getTime() + expiresAt.getTime()) / 2;
    kept.issued = { token, keyId, renewAtMs };
    return token;
  }
}
