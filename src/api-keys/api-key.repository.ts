import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { ApiKey } from './api-key.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

/** The keyed hash of a secret, and the version of the key that it was made under. */
export type SecretHash = { hash: Uint8Array; keyVersion: number };

/** How many uses in how many seconds. */
export type KeyLimit = { requests: number; seconds: number };

/** The settings of a key, which people can change. */
export type KeySettings = {
  displayName: string;
  scopes: readonly string[];
  allowedCidrs: readonly string[];
  limit: KeyLimit | undefined;
  expiresAt: Date | undefined;
};

export type KeyOwner = { type: 'user' | 'service_account'; id: string };

type NewKey = KeySettings & {
  id: string;
  owner: KeyOwner;
  secret: SecretHash;
  createdAt: Date;
};

/** SQL for the type and the id of a key's owner; `k` is the table. */
export const OWNER_TYPE = `case when k.account_id is null then 'service_account' else 'user' end`;
export const OWNER_ID = 'coalesce(k.account_id, k.service_account_id)';
const CHANGED = 'version = version + 1, changed_at = clock_timestamp()';

/** The statements by which people manage API keys. */
export class ApiKeyRepository extends Repository<ApiKey> {
  /** Inserts a key. */
  async insertNew(key: NewKey): Promise<void> {
    await this.query(
      `insert into api_keys (id, account_id, service_account_id, display_name, scopes, secret_hash,
         key_version, allowed_cidrs, limit_requests, limit_seconds, created_at, observed_since, expires_at)
       values ($1, $2, $3, $4, $5::text[], $6, $7, $8::text[], $9, $10, $11, $11, $12)`,
      [
        key.id,
        key.owner.type === 'user' ? key.owner.id : null,
        key.owner.type === 'service_account' ? key.owner.id : null,
        key.displayName,
        key.scopes,
        key.secret.hash,
        key.secret.keyVersion,
        key.allowedCidrs,
        key.limit?.requests ?? null,
        key.limit?.seconds ?? null,
        key.createdAt,
        key.expiresAt ?? null,
      ],
    );
  }

  /** Throws `TOKEN_REVOKED` if a key has been revoked; this replica may not have heard of that yet. */
  async requireLive(id: string): Promise<void> {
    if ((await this.count({ id, revokedAt: null })) > 0) return;
    throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the API key has been revoked');
  }

  /** How many working keys an owner has. */
  async countLive(ownerId: string, now: Date): Promise<number> {
    const [row] = await this.query<{ count: number }>(
      `select count(*)::int as count from api_keys
       where (account_id = $1 or service_account_id = $1) and revoked_at is null
         and (expires_at is null or expires_at > $2)`,
      [ownerId, now],
    );
    return row?.count ?? 0;
  }

  /** Replaces the settings of a key. */
  async change(id: string, settings: KeySettings): Promise<void> {
    await this.query(
      `update api_keys set display_name = $2, scopes = $3::text[], allowed_cidrs = $4::text[],
         limit_requests = $5, limit_seconds = $6, expires_at = $7, ${CHANGED}
       where id = $1`,
      [
        id,
        settings.displayName,
        settings.scopes,
        settings.allowedCidrs,
        settings.limit?.requests ?? null,
        settings.limit?.seconds ?? null,
        settings.expiresAt ?? null,
      ],
    );
  }

  /** Replaces the secret of a key; the present one works until `previousExpiresAt`. */
  async rotate(id: string, secret: SecretHash, previousExpiresAt: Date): Promise<void> {
    await this.query(
      `update api_keys set previous_hash = secret_hash, previous_key_version = key_version,
         previous_expires_at = $4, secret_hash = $2, key_version = $3, ${CHANGED}
       where id = $1`,
      [id, secret.hash, secret.keyVersion, previousExpiresAt],
    );
  }

  /**
   * Revokes one key, or all keys of an owner, except those that are revoked already. Returns the ids of
   * those that it revoked.
   */
  async revoke(which: { id: string } | { ownerId: string }, now: Date): Promise<string[]> {
    const [column, value] =
      'id' in which ? ['id', which.id] : ['account_id, service_account_id', which.ownerId];
    const rows = await this.query<{ id: string }>(
      `update api_keys set revoked_at = $2, ${CHANGED}
       where $1 in (${column}) and revoked_at is null returning id`,
      [value, now],
    );
    return rows.map(({ id }) => id);
  }

  /** Removes a scope from all keys that have it. Returns how many there were. */
  async dropScope(scope: string): Promise<number> {
    const rows = await this.query(
      `update api_keys set scopes = array_remove(scopes, $1), ${CHANGED}
       where scopes @> array[$1::text] returning 1`,
      [scope],
    );
    return rows.length;
  }

  /** Makes the replicas forget what they know about a key. */
  async noteChanged(id: string): Promise<void> {
    await this.query(`update api_keys set ${CHANGED} where id = $1`, [id]);
  }

  /** The same for all keys of a service account. Returns their ids. */
  async noteAllChanged(serviceAccountId: string): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `update api_keys set ${CHANGED}
       where service_account_id = $1 and revoked_at is null returning id`,
      [serviceAccountId],
    );
    return rows.map(({ id }) => id);
  }

  /** Deletes some of the keys that ended before `before`. Returns whether there may be more. */
  async forgetOver(before: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from api_keys where id in
       (select id from api_keys where revoked_at <= $1 or expires_at <= $1 limit ${BATCH}) returning 1`,
      [before],
    );
    return gone.length === BATCH;
  }
}

/** The API keys that a connection or a transaction sees. */
export function apiKeysIn(em: EntityManager): ApiKeyRepository {
  return new ApiKeyRepository(em, ApiKey);
}

/** The limit that two columns hold, if they do. */
export function keyLimit(requests: number | null, seconds: number | null): KeyLimit | undefined {
  return requests === null || seconds === null ? undefined : { requests, seconds };
}
