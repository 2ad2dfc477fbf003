import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import {
  PLACE,
  placeOf,
  placeParameters,
  type TablePlace,
  unseen,
} from '../platform/table-place.ts';
import { ApiKey } from './api-key.entity.ts';
import {
  type KeyLimit,
  keyLimit,
  OWNER_ID,
  OWNER_TYPE,
  type SecretHash,
} from './api-key.repository.ts';

/** Everything that decides whether a key is valid, with its owner's present state. */
export type KeyRow = {
  id: string;
  version: number;
  ownerType: 'user' | 'service_account';
  ownerId: string;
  ownerState: string;
  ownerRoles: string[];
  ownerTokenVersion: number;
  emailVerified: boolean;
  scopes: string[];
  secret: SecretHash;
  previous: (SecretHash & { expiresAt: Date }) | undefined;
  allowedCidrs: string[];
  limit: KeyLimit | undefined;
  expiresAt: Date | undefined;
  revokedAt: Date | undefined;
};

/** A use of a key. `ipAddress` is empty if it is not known. */
export type KeyUse = { id: string; at: Date; ipAddress: string };

/** A key that has changed, and its version now. */
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

type LookRow = { lookedAt: string; horizon: string; id: string | null; version: number };

/** The statements by which API keys are verified. */
export class ApiKeyCheckRepository extends Repository<ApiKey> {
  /** Reads a key with its owner, in one statement. */
  async findForCheck(id: string): Promise<KeyRow | undefined> {
    const [row] = await this.query<Row>(
      `select k.id, k.version, ${OWNER_TYPE} as "ownerType", ${OWNER_ID} as "ownerId",
         coalesce(a.state, s.state) as "ownerState", coalesce(a.roles, s.roles) as "ownerRoles",
         coalesce(a.token_version, s.token_version) as "ownerTokenVersion",
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
   * Returns the keys whose changes the last look may not have seen, and the place of this look. If there
   * was none, returns only the place.
   */
  async look(last: TablePlace | undefined): Promise<{ place: TablePlace; found: ChangedKey[] }> {
    const rows = await this.query<LookRow>(
      `select look.*, k.id, k.version
       from (select ${PLACE}) look
       left join api_keys k on ${unseen('k', 'changed_at')}`,
      last ? placeParameters(last) : [null, null, null],
    );
    const found = rows.filter((row): row is LookRow & ChangedKey => row.id !== null);
    return { place: placeOf(rows[0]), found };
  }

  /**
   * Notes uses of keys, each key once a minute at most. It waits for no lock: it leaves out a key
   * that is being changed, and one that has been revoked: its owner may have been erased since (C13).
   */
  async noteUses(uses: readonly KeyUse[]): Promise<void> {
    await this.query(
      `with used as (
         select * from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as u (id, at, address)
       ), free as (
         select k.id from api_keys k where k.id = any($1::uuid[])
           and k.revoked_at is null for no key update skip locked
       )
       update api_keys k set last_used_at = u.at,
         last_used_address = coalesce(nullif(u.address, ''), k.last_used_address)
       from used u join free f on f.id = u.id
       where k.id = u.id
         and (k.last_used_at is null or k.last_used_at <= u.at - interval '1 minute')`,
      [uses.map(({ id }) => id), uses.map(({ at }) => at), uses.map(({ ipAddress }) => ipAddress)],
    );
  }

  /** Replaces the hash of a secret by one under a newer master key, unless it has changed since. */
  async rehash(id: string, from: SecretHash, to: SecretHash): Promise<void> {
    await this.query(
      `update api_keys set secret_hash = $3, key_version = $4
       where id = $1 and secret_hash = $2`,
      [id, from.hash, to.hash, to.keyVersion],
    );
  }
}

/** The statements that verify API keys, on a connection or in a transaction. */
export function apiKeyChecksIn(em: EntityManager): ApiKeyCheckRepository {
  return new ApiKeyCheckRepository(em, ApiKey);
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
