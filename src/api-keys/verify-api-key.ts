import { hash } from 'node:crypto';
import type { RoleBook } from '../access/role-book.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { Principal } from '../sessions/principal.ts';
import { type CheckSource, TokenChecks } from '../sessions/token-checks.ts';
import type { ApiKeyMemory, KnownSecret } from './api-key-memory.ts';
import { SecretFinder } from './find-secret.ts';
import type { KeyLimits } from './key-limits.ts';
import type { KeyLookups } from './key-lookups.ts';
import type { KeyUsage } from './key-usage.ts';
import { type KeyQuery, type KeyVerdict, refusedKey } from './key-verdict.ts';

const SECRET_LENGTH = 64;

type VerifierParts = {
  database: SqlDatabase;
  keyring: Keyring;
  log: Log;
  clock: Clock;
  roles: Pick<RoleBook, 'isStale' | 'look' | 'permissionsOf' | 'version'>;
  revocations: Pick<RevocationFeed, 'covers'>;
  apiKeyMemory: ApiKeyMemory;
  keyLimits: KeyLimits;
  keyLookups: KeyLookups;
  keyUsage: KeyUsage;
};

/**
 * Verifies API keys (A02). A secret is compared with its hash once; after that a bounded memory, which
 * follows the database, knows it by its digest. Time, revocations, the owner's roles, scopes, address
 * and limit are judged on every call (A01, A03). For a known key nothing is read or written, and Redis
 * is asked only if the key has a limit.
 */
export class ApiKeyVerifier {
  /** What the checks came to. */
  readonly checks = new TokenChecks('api_key');
  readonly #parts: VerifierParts;
  readonly #finder: SecretFinder;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
    this.#finder = new SecretFinder(parts);
  }

  /** Judges a key for what it is presented for. Throws if it can't find out. */
  verify(query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const { secret, requestId } = query;
    if (secret.length !== SECRET_LENGTH) {
      this.#finder.noteUnknown(requestId, 'not a secret');
      return this.#noted(refusedKey('UNKNOWN_KEY'), 'memory');
    }
    const digest = hash('sha256', secret, 'base64url');
    const { apiKeyMemory, roles } = this.#parts;
    if (apiKeyMemory.isStale || roles.isStale) {
      const judged = this.#catchUp().then(() => this.#look(digest, query));
      return this.#counted(judged, 'database');
    }
    const known = apiKeyMemory.get(digest);
    if (!known) return this.#counted(this.#find(digest, query), 'database');
    const verdict = this.#judge(known, query);
    return verdict instanceof Promise
      ? this.#counted(verdict, 'memory')
      : this.#noted(verdict, 'memory');
  }

  #noted(verdict: KeyVerdict, source: CheckSource): KeyVerdict {
    if (verdict.valid && source === 'memory') this.checks.fromMemory.value += 1;
    else this.checks.note(verdict.valid ? 'valid' : verdict.reason.toLowerCase(), source);
    return verdict;
  }

  async #counted(verdict: Promise<KeyVerdict>, source: CheckSource): Promise<KeyVerdict> {
    try {
      return this.#noted(await verdict, source);
    } catch (error) {
      this.checks.failed(error, source);
      throw error;
    }
  }

  /** Asks the database if memory no longer follows it, and so is not trusted. */
  async #catchUp(): Promise<void> {
    const { apiKeyMemory, roles } = this.#parts;
    await Promise.all([apiKeyMemory.isStale && apiKeyMemory.look(), roles.isStale && roles.look()]);
  }

  #look(digest: string, query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const known = this.#parts.apiKeyMemory.get(digest);
    return known ? this.#judge(known, query) : this.#find(digest, query);
  }

  async #find(digest: string, query: KeyQuery): Promise<KeyVerdict> {
    const { secret, requestId, countedAs } = query;
    const found = await this.#finder.find({ secret, digest, requestId, countedAs });
    return found ? this.#judge(found, query) : refusedKey('UNKNOWN_KEY');
  }

  #judge(known: KnownSecret, query: KeyQuery): KeyVerdict | Promise<KeyVerdict> {
    const { key, untilMs } = known;
    const { clock, revocations, roles, keyLimits, keyUsage } = this.#parts;
    const nowMs = clock.now().getTime();
    const principal = principalOf(known, key.principal(roles));
    if (key.row.revokedAt || revocations.covers(principal)) return refusedKey('REVOKED');
    if (key.expiresAtMs <= nowMs || untilMs <= nowMs) return refusedKey('EXPIRED');
    if (!key.isActive) return refusedKey('OWNER_INACTIVE');
    const address = query.addressIsCertain ? query.ipAddress : '';
    if (!key.isAllowedFrom(address)) return refusedKey('ADDRESS_NOT_ALLOWED', principal);
    if (!query.requiredScopes.every((scope) => principal.scopes.includes(scope))) {
      return refusedKey('SCOPE_MISSING', principal);
    }
    if (query.isRepeated) return { valid: true, principal };
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

/**
 * The principal of a secret, which a rotation may end before its key. It stays the same object until any
 * of that changes, since answers and tokens are kept by it.
 */
function principalOf(known: KnownSecret, ofKey: Principal): Principal {
  const expiresAt = Math.floor(known.untilMs / 1000);
  if (expiresAt >= ofKey.expiresAt) return ofKey;
  if (known.ending?.of !== ofKey) {
    known.ending = { of: ofKey, principal: Object.freeze({ ...ofKey, expiresAt }) };
  }
  return known.ending.principal;
}
