import { hash } from 'node:crypto';
import type { RoleBook } from '../access/role-book.ts';
import type { Clock } from '../platform/clock.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { KnownSecret } from './api-key-memory.ts';
import { SecretFinder, type SecretFinderDeps } from './find-secret.ts';
import type { KeyLimits } from './key-limits.ts';
import type { KeyUsage } from './key-usage.ts';
import { type KeyQuery, type KeyVerdict, refusedKey } from './key-verdict.ts';

const SECRET_LENGTH = 64;

export type KeyVerifierDeps = SecretFinderDeps & {
  clock: Clock;
  roles: Pick<RoleBook, 'isStale' | 'look' | 'permissionsOf' | 'version'>;
  revocations: Pick<RevocationFeed, 'covers'>;
  keyLimits: KeyLimits;
  keyUsage: KeyUsage;
};

/**
 * Verifies API keys (A02). A secret is compared with its hash once; after that it is known by its
 * digest, in a bounded memory that follows the database. Time, revocations, the owner's roles, scopes,
 * address and limit are judged on every call (A01, A03); nothing is read or written for a known key,
 * and Redis is asked only for one with a limit.
 */
export class ApiKeyVerifier {
  readonly #deps: KeyVerifierDeps;
  readonly #finder: SecretFinder;

  constructor(deps: KeyVerifierDeps) {
    this.#deps = deps;
    this.#finder = new SecretFinder(deps);
  }

  /** Says whether a key is good now for what it is presented for. A failure to find out is thrown. */
  verify(query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const { secret, requestId } = query;
    if (secret.length !== SECRET_LENGTH) {
      this.#finder.noteUnknown(requestId, 'not a secret');
      return refusedKey('UNKNOWN_KEY');
    }
    const digest = hash('sha256', secret, 'base64url');
    const { apiKeyMemory, roles } = this.#deps;
    if (!apiKeyMemory.isStale && !roles.isStale) return this.#look(digest, query);
    return this.#catchUp().then(() => this.#look(digest, query));
  }

  /** Memory is trusted while it follows the database; after that the database is asked each time. */
  async #catchUp(): Promise<void> {
    const { apiKeyMemory, roles } = this.#deps;
    await Promise.all([apiKeyMemory.isStale && apiKeyMemory.look(), roles.isStale && roles.look()]);
  }

  #look(digest: string, query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const known = this.#deps.apiKeyMemory.get(digest);
    if (known) return this.#judge(known, query);
    const { secret, requestId } = query;
    return this.#finder
      .find({ secret, digest, requestId })
      .then((found) => (found ? this.#judge(found, query) : refusedKey('UNKNOWN_KEY')));
  }

  #judge({ key, untilMs }: KnownSecret, query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const { clock, revocations, roles, keyLimits, keyUsage } = this.#deps;
    const nowMs = clock.now().getTime();
    const principal = key.principal(roles);
    if (key.row.revokedAt || revocations.covers(principal)) return refusedKey('REVOKED');
    if (key.expiresAtMs <= nowMs || untilMs <= nowMs) return refusedKey('EXPIRED');
    if (!key.isActive) return refusedKey('OWNER_INACTIVE');
    if (!key.isAllowedFrom(query.ipAddress)) return refusedKey('ADDRESS_NOT_ALLOWED', principal);
    if (!query.requiredScopes.every((scope) => principal.scopes.includes(scope))) {
      return refusedKey('SCOPE_MISSING', principal);
    }
    const { id, limit } = key.row;
    if (!limit) {
      keyUsage.note(key, nowMs, query.ipAddress);
      return { valid: true, principal };
    }
    return keyLimits.count(id, limit, query.cost || 1).then(({ isAllowed, status }) => {
      if (!isAllowed) return refusedKey('RATE_LIMITED', principal, status);
      keyUsage.note(key, nowMs, query.ipAddress);
      return { valid: true, principal, limit: status };
    });
  }
}
