import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { etagOf } from '../platform/update.ts';
import { ApiKey } from './api-key.entity.ts';
import {
  type KeyLimit,
  type KeyOwner,
  keyLimit,
  OWNER_ID,
  OWNER_TYPE,
} from './api-key.repository.ts';

/** What people may see of a key. */
export type ApiKeyRecord = {
  apiKeyId: string;
  displayName: string;
  scopes: string[];
  owner: KeyOwner;
  allowedCidrs: string[];
  limit: KeyLimit | undefined;
  createdAt: Date;
  expiresAt: Date | undefined;
  lastUsedAt: Date | undefined;
  /** Empty if it is not known. */
  lastUsedIpAddress: string;
  revokedAt: Date | undefined;
  /** Undefined once that has passed. */
  previousSecretExpiresAt: Date | undefined;
  etag: string;
};

type Row = {
  id: string;
  displayName: string;
  ownerType: KeyOwner['type'];
  ownerId: string;
  scopes: string[];
  allowedCidrs: string[];
  limitRequests: number | null;
  limitSeconds: number | null;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  lastUsedAddress: string | null;
  revokedAt: string | null;
  previousExpiresAt: string | null;
};

/** A working key whose use of scopes is observed. */
export type ObservedKey = {
  apiKeyId: string;
  displayName: string;
  owner: KeyOwner;
  scopes: string[];
  observedSince: Date;
  lastUsedAt: Date | undefined;
};

type ObservedRow = Pick<
  Row,
  'id' | 'displayName' | 'ownerType' | 'ownerId' | 'scopes' | 'lastUsedAt'
> & { observedSince: string };

export type WhichObserved = {
  id: string | null;
  serviceAccountId: string | null;
  before: string | undefined;
  limit: number;
  now: Date;
};

export type WhichKeys = {
  id?: string;
  ownerId?: string;
  /** Only those created before this one. */
  before?: string | undefined;
  showRevoked: boolean;
  limit: number;
  now: Date;
};

/** Reads API keys for people to see. */
export class ApiKeyRecordRepository extends Repository<ApiKey> {
  /** Lists keys, newest first. */
  async list(which: WhichKeys): Promise<ApiKeyRecord[]> {
    const { id = null, ownerId = null, before = null, showRevoked, limit, now } = which;
    const rows = await this.query<Row>(
      `select id, display_name as "displayName", ${OWNER_TYPE} as "ownerType",
         ${OWNER_ID} as "ownerId", scopes, allowed_cidrs as "allowedCidrs",
         limit_requests as "limitRequests", limit_seconds as "limitSeconds",
         created_at as "createdAt", expires_at as "expiresAt", last_used_at as "lastUsedAt",
         last_used_address as "lastUsedAddress", revoked_at as "revokedAt",
         previous_expires_at as "previousExpiresAt"
       from api_keys k
       where ($1::uuid is null or id = $1)
         and ($2::uuid is null or account_id = $2 or service_account_id = $2)
         and ($3::uuid is null or id < $3) and ($4 or revoked_at is null)
       order by id desc limit $5`,
      [id, ownerId, before, showRevoked, limit],
    );
    return rows.map((row) => recordOf(row, now));
  }

  /** Lists keys that work, newest first. */
  async listObserved(which: WhichObserved): Promise<ObservedKey[]> {
    const { id, serviceAccountId, before = null, limit, now } = which;
    const rows = await this.query<ObservedRow>(
      `select k.id, k.display_name as "displayName", ${OWNER_TYPE} as "ownerType",
         ${OWNER_ID} as "ownerId", k.scopes, k.observed_since as "observedSince",
         k.last_used_at as "lastUsedAt"
       from api_keys k left join service_accounts o on o.id = k.service_account_id
       where k.revoked_at is null and (k.expires_at is null or k.expires_at > $1)
         and (o.state is null or o.state <> 'deleted')
         and ($2::uuid is null or k.id = $2) and ($3::uuid is null or k.service_account_id = $3)
         and ($4::uuid is null or k.id < $4)
       order by k.id desc limit $5`,
      [now, id, serviceAccountId, before, limit],
    );
    return rows.map((row) => ({
      apiKeyId: row.id,
      displayName: row.displayName,
      owner: { type: row.ownerType, id: row.ownerId },
      scopes: row.scopes,
      observedSince: timestamp(row.observedSince),
      lastUsedAt: row.lastUsedAt === null ? undefined : timestamp(row.lastUsedAt),
    }));
  }
}

/** The records of API keys that a connection or a transaction sees. */
export function apiKeyRecordsIn(em: EntityManager): ApiKeyRecordRepository {
  return new ApiKeyRecordRepository(em, ApiKey);
}

function recordOf(row: Row, now: Date): ApiKeyRecord {
  const optional = (text: string | null) => (text === null ? undefined : timestamp(text));
  const previousEnd = optional(row.previousExpiresAt);
  return {
    apiKeyId: row.id,
    displayName: row.displayName,
    scopes: row.scopes,
    owner: { type: row.ownerType, id: row.ownerId },
    allowedCidrs: row.allowedCidrs,
    limit: keyLimit(row.limitRequests, row.limitSeconds),
    createdAt: timestamp(row.createdAt),
    expiresAt: optional(row.expiresAt),
    lastUsedAt: optional(row.lastUsedAt),
    lastUsedIpAddress: row.lastUsedAddress ?? '',
    revokedAt: optional(row.revokedAt),
    previousSecretExpiresAt: previousEnd && previousEnd > now ? previousEnd : undefined,
    etag: versionOf(row),
  };
}

/** Changes if and only if something changes that an update may be based on. */
function versionOf(row: Row): string {
  const { displayName, scopes, allowedCidrs, limitRequests, limitSeconds } = row;
  const settings = [displayName, scopes, allowedCidrs, limitRequests, limitSeconds];
  return etagOf([...settings, row.expiresAt, row.revokedAt]);
}
