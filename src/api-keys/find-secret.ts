import type { Keyring } from '../platform/crypto.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { SecretHash } from './api-key.repository.ts';
import { apiKeyChecksIn, type KeyRow } from './api-key-check.repository.ts';
import type { ApiKeyMemory, KnownSecret } from './api-key-memory.ts';
import { hashSecret, isSecretOf, parseSecret } from './api-key-secret.ts';
import type { KeyLookups } from './key-lookups.ts';
import { KnownKey } from './known-key.ts';

const NO_HASH = new Uint8Array(32);

type FinderParts = {
  database: SqlDatabase;
  keyring: Keyring;
  log: Log;
  apiKeyMemory: ApiKeyMemory;
  keyLookups: KeyLookups;
};

type Presented = {
  secret: string;
  digest: string;
  requestId: string;
  countedAs: string | undefined;
};

/** Looks up secrets that this replica does not know, and remembers those of keys. */
export class SecretFinder {
  readonly #parts: FinderParts;
  /** Secrets that are being looked up: all callers with the same one wait for one answer. */
  readonly #asking = new Map<string, Promise<KnownSecret | undefined>>();

  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  /**
   * The key of a secret, or undefined. Only the log says why there is none (A02). Throws `RATE_LIMITED`
   * if too many unknown secrets come from this address.
   */
  find(presented: Presented): Promise<KnownSecret | undefined> {
    const { digest, countedAs = '' } = presented;
    const name = `${digest} ${countedAs}`;
    let asking = this.#asking.get(name);
    if (!asking) {
      asking = this.#find(presented).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return asking;
  }

  /** Logs why a secret belongs to no key. */
  noteUnknown(requestId: string, reason: string): undefined {
    const { log } = this.#parts;
    log.info({ component: 'api_keys', request_id: requestId, reason }, 'unknown API key');
  }

  async #find(presented: Presented): Promise<KnownSecret | undefined> {
    const { digest, requestId, countedAs } = presented;
    const { apiKeyMemory, keyLookups } = this.#parts;
    const parsed = parseSecret(presented.secret);
    if (typeof parsed === 'string') return this.noteUnknown(requestId, parsed);
    if (apiKeyMemory.isUnknown(digest)) return this.noteUnknown(requestId, 'unknown a moment ago');
    if (countedAs === undefined) return this.#lookUp(presented, parsed.keyId);
    await keyLookups.begin(countedAs);
    let isUnknown = false;
    try {
      const found = await this.#lookUp(presented, parsed.keyId);
      isUnknown = !found;
      return found;
    } finally {
      if (!isUnknown) await keyLookups.giveBack(countedAs);
    }
  }

  async #lookUp(
    { secret, digest, requestId }: Presented,
    keyId: string,
  ): Promise<KnownSecret | undefined> {
    const { database, keyring, apiKeyMemory } = this.#parts;
    const row = await database.read((em) => apiKeyChecksIn(em).findForCheck(keyId));
    const untilMs = secretEnd(keyring, secret, row);
    if (!row || untilMs === undefined) {
      apiKeyMemory.noteUnknown(digest);
      return this.noteUnknown(requestId, row ? 'wrong secret' : 'no such key');
    }
    if (untilMs === Number.POSITIVE_INFINITY) this.#renewHash(secret, row);
    const key = apiKeyMemory.inVersion(row.id, row.version) ?? new KnownKey(row);
    const known = { key, untilMs };
    apiKeyMemory.set(digest, known);
    return known;
  }

  /** Hashes a secret again that was hashed under an older master key (S11). */
  #renewHash(secret: string, { id, secret: kept }: KeyRow): void {
    const { database, keyring, log } = this.#parts;
    if (kept.keyVersion === keyring.current) return;
    const next = hashSecret(keyring, secret);
    database
      .read((em) => apiKeyChecksIn(em).rehash(id, kept, next))
      .catch((error) =>
        log.debug({ component: 'api_keys', ...errorFields(error) }, 'not rehashed'),
      );
  }
}

/**
 * Until when (ms) a secret of a key works; undefined if it is none. Equally slow if there is no key.
 */
function secretEnd(keyring: Keyring, secret: string, row: KeyRow | undefined): number | undefined {
  const kept: SecretHash = row?.secret ?? { hash: NO_HASH, keyVersion: keyring.current };
  if (isSecretOf(keyring, secret, kept)) return row && Number.POSITIVE_INFINITY;
  const previous = row?.previous;
  return previous && isSecretOf(keyring, secret, previous)
    ? previous.expiresAt.getTime()
    : undefined;
}
