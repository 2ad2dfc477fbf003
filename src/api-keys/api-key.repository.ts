import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { ApiKey } from './api-key.entity.ts';

/** Rows that are deleted at once. */
const BATCH = 1000;

/** The keyed hash of a secret, and the version of the key that it was made under. */
export type SecretHash = { hash: Uint8Array; keyVersion: number };

/** What a key is judged by, with its owner as they are at this moment. */
export type KeyRow = {
  id: string;
  version: number;
  ownerType: 'user' | 'service_account';
  ownerId: string;
  ownerState: string;
  ownerRoles: string[];
  emailVerified: boolean;
  scopes: string[];
  secret: SecretHash;
  previous: (SecretHash & { expiresAt: Date }) | undefined;
  allowedCidrs: string[];
  limit: KeyLimit | undefined;
  expiresAt: Date | undefined;
  revokedAt: Date | undefined;
};

/** So many uses in so many seconds. */
export type KeyLimit = { requests: number; seconds: number };

/** What people can change of a key. */
export type KeySettings = {
  displayName: string;
  scopes: readonly string[];
  allowedCidrs: readonly string[];
  limit: KeyLimit | undefined;
  expiresAt: Date | undefined;
};

export type NewKey = KeySettings & {
  id: string;
  owner: { type: 'user' | 'service_account'; id: string };
  secret: SecretHash;
  createdAt: Date;
};

/** The use of a key: when, and from where if that is known. */
export type KeyUse = { id: string; at: Date; ipAddress: string };

/** A key that has changed, and the version that it has now. */
export type ChangedKey = { id: string; version: number };

type Row = Omit<KeyRow, 'secret' | 'previous' | 'limit' | 'expiresAt' | 'revokedAt'> & {
  secretHash: Uint8Array;
  keyVersion: number;
  previousHash: Uint8Array | null;
  previousKeyVersion: number | null;
  previousExpiresAt: string | null;
  limitRequests: number | null;
  limitSeconds: number | null;
  expiresAt: string | null;
  revokedAt: string | null;
};

/** The columns that say whose a key is. */
export const OWNER_TYPE = `case when k.account_id is null then 'service_account' else 'user' end`;
export const OWNER_ID = 'coalesce(k.account_id, k.service_account_id)';
const CHANGED = 'version = version + 1, changed_at = clock_timestamp()';
const MICROS = (time: string) => `(extract(epoch from ${time}) * 1000000)::bigint::text`;

/** The SQL of API keys. */
export class ApiKeyRepository extends Repository<ApiKey> {
  /** What a key is judged by, in one statement. */
  async findForCheck(id: string): Promise<KeyRow | undefined> {
    const [row] = await this.query<Row>(
      `select k.id, k.version, ${OWNER_TYPE} as "ownerType", ${OWNER_ID} as "ownerId",
         coalesce(a.state, s.state) as "ownerState", coalesce(a.roles, s.roles) as "ownerRoles",
         a.email_verified_at is not null as "emailVerified", k.scopes,
         k.secret_hash as "secretHash", k.key_version as "keyVersion",
         k.previous_hash as "previousHash", k.previous_key_version as "previousKeyVersion",
         k.previous_expires_at as "previousExpiresAt", k.allowed_cidrs as "allowedCidrs",
         k.limit_requests as "limitRequests", k.limit_seconds as "limitSeconds",
         k.expires_at as "expiresAt", k.revoked_at as "revokedAt"
       from api_keys k left join accounts a on a.id = k.account_id
         left join service_accounts s on s.id = k.service_account_id
       where k.id = $1`,
      [id],
    );
    return row && keyRow(row);
  }

  /**
   * The keys that have changed since a moment (microseconds by the database's clock), and when this
   * look was taken. Undefined: none, only the time.
   */
  async look(since: number | undefined): Promise<{ lookedAtMicros: number; found: ChangedKey[] }> {
    const rows = await this.query<{ lookedAt: string; id: string | null; version: number }>(
      `select look.at as "lookedAt", k.id, k.version
       from (select ${MICROS('statement_timestamp()')} as at) look
       left join api_keys k on k.changed_at > to_timestamp($1::bigint / 1000000.0)`,
      [since === undefined ? null : Math.max(Math.floor(since), 0)],
    );
    const found = rows.filter((row): row is typeof row & ChangedKey => row.id !== null);
    return { lookedAtMicros: Number(rows[0]?.lookedAt), found };
  }

  async insertNew(key: NewKey): Promise<void> {
    await this.query(
      `insert into api_keys (id, account_id, service_account_id, display_name, scopes, secret_hash,
         key_version, allowed_cidrs, limit_requests, limit_seconds, created_at, expires_at)
       values ($1, $2, $3, $4, $5::text[], $6, $7, $8::text[], $9, $10, $11, $12)`,
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

  /** How many keys of an owner work. */
  async countLive(ownerId: string, now: Date): Promise<number> {
    const [row] = await this.query<{ count: number }>(
      `select count(*)::int as count from api_keys
       where (account_id = $1 or service_account_id = $1) and revoked_at is null
         and (expires_at is null or expires_at > $2)`,
      [ownerId, now],
    );
    return row?.count ?? 0;
  }

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

  /** Gives a key a new secret; the one that it has works until `previousExpiresAt`. */
  async rotate(id: string, secret: SecretHash, previousExpiresAt: Date): Promise<void> {
    await this.query(
      `update api_keys set previous_hash = secret_hash, previous_key_version = key_version,
         previous_expires_at = $4, secret_hash = $2, key_version = $3, ${CHANGED}
       where id = $1`,
      [id, secret.hash, secret.keyVersion, previousExpiresAt],
    );
  }

  /**
   * Revokes the keys of an owner, or one of them, that were not revoked before. Gives their ids and
   * owners.
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

  /**
   * Notes uses of keys, each once a minute at most. It waits for nobody: a key that is being changed is
   * left out.
   */
  async noteUses(uses: readonly KeyUse[]): Promise<void> {
    await this.query(
      `with used as (
         select * from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as u (id, at, address)
       ), free as (
         select k.id from api_keys k where k.id = any($1::uuid[]) for no key update skip locked
       )
       update api_keys k set last_used_at = u.at,
         last_used_address = coalesce(nullif(u.address, ''), k.last_used_address)
       from used u join free f on f.id = u.id
       where k.id = u.id
         and (k.last_used_at is null or k.last_used_at <= u.at - interval '1 minute')`,
      [uses.map(({ id }) => id), uses.map(({ at }) => at), uses.map(({ ipAddress }) => ipAddress)],
    );
  }

  /** Keeps a secret under a newer key of ours, if it is still the one that is kept. */
  async rehash(id: string, from: SecretHash, to: SecretHash): Promise<void> {
    await this.query(
      `update api_keys set secret_hash = $3, key_version = $4
       where id = $1 and secret_hash = $2`,
      [id, from.hash, to.hash, to.keyVersion],
    );
  }

  /** Deletes some of the keys that were over before a moment. Says whether there may be more. */
  async forgetOver(before: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from api_keys where id in
       (select id from api_keys where revoked_at <= $1 or expires_at <= $1 limit ${BATCH}) returning 1`,
      [before],
    );
    return gone.length === BATCH;
  }
}

/** The api keys that a connection or a transaction sees. */
export function apiKeysIn(em: EntityManager): ApiKeyRepository {
  return new ApiKeyRepository(em, ApiKey);
}

function keyRow(row: Row): KeyRow {
  const { secretHash, keyVersion, previousHash, previousKeyVersion, previousExpiresAt } = row;
  const { limitRequests, limitSeconds, ...same } = row;
  const hasPrevious = previousHash !== null && previousKeyVersion !== null && previousExpiresAt;
  return {
    ...same,
    secret: { hash: secretHash, keyVersion },
    previous: hasPrevious
      ? {
          hash: previousHash,
          keyVersion: previousKeyVersion,
          expiresAt: timestamp(previousExpiresAt),
        }
      : undefined,
    limit: keyLimit(limitRequests, limitSeconds),
    expiresAt: row.expiresAt === null ? undefined : timestamp(row.expiresAt),
    revokedAt: row.revokedAt === null ? undefined : timestamp(row.revokedAt),
  };
}

export function keyLimit(requests: number | null, seconds: number | null): KeyLimit | undefined {
  return requests === null || seconds === null ? undefined : { requests, seconds };
}
