import { createHash } from 'node:crypto';
import { Failure } from '../platform/failure.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';
import { type KeyLimit, keyLimit, OWNER_ID, OWNER_TYPE } from './api-key.repository.ts';
import { secretPrefix } from './api-key-secret.ts';

/**
 * Who asks, and what they may see and change beside their own. Without an account: the operator, at the
 * command line, who may do everything.
 */
export type KeyActor = { accountId: string | undefined; permissions: readonly string[] };

export type KeyOwner = { type: 'user' | 'service_account'; id: string };

/** A key as people are shown it. */
export type ApiKeyView = {
  apiKeyId: string;
  displayName: string;
  prefix: string;
  scopes: string[];
  owner: KeyOwner;
  allowedCidrs: string[];
  limit: KeyLimit | undefined;
  createdAt: Date;
  expiresAt: Date | undefined;
  lastUsedAt: Date | undefined;
  lastUsedIpAddress: string;
  revokedAt: Date | undefined;
  /** Where it is still to come. */
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

type WhichKeys = {
  id?: string;
  ownerId?: string;
  /** Only those made before this one. */
  before?: string | undefined;
  showRevoked: boolean;
  limit: number;
  now: Date;
};

/** Reads keys, the newest first. */
export async function readKeys(em: EntityManager, which: WhichKeys): Promise<ApiKeyView[]> {
  const rows = await query<Row>(
    em,
    `select id, display_name as "displayName", ${OWNER_TYPE} as "ownerType", ${OWNER_ID} as "ownerId", scopes,
       allowed_cidrs as "allowedCidrs", limit_requests as "limitRequests",
       limit_seconds as "limitSeconds", created_at as "createdAt", expires_at as "expiresAt",
       last_used_at as "lastUsedAt", last_used_address as "lastUsedAddress",
       revoked_at as "revokedAt", previous_expires_at as "previousExpiresAt"
     from api_keys k
     where ($1::uuid is null or id = $1)
       and ($2::uuid is null or account_id = $2 or service_account_id = $2)
       and ($3::uuid is null or id < $3) and ($4 or revoked_at is null)
     order by id desc limit $5`,
    [which.id ?? null, which.ownerId ?? null, which.before ?? null, which.showRevoked, which.limit],
  );
  return rows.map((row) => viewOf(row, which.now));
}

/** One key as it is now, if there is one. */
export async function readKey(
  em: EntityManager,
  id: string,
  now: Date,
): Promise<ApiKeyView | undefined> {
  return (await readKeys(em, { id, showRevoked: true, limit: 1, now }))[0];
}

function viewOf(row: Row, now: Date): ApiKeyView {
  const previousEnd = row.previousExpiresAt === null ? undefined : timestamp(row.previousExpiresAt);
  const optional = (text: string | null) => (text === null ? undefined : timestamp(text));
  return {
    apiKeyId: row.id,
    displayName: row.displayName,
    prefix: secretPrefix(row.id),
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
    etag: etagOf(row),
  };
}

/** Changes with whatever an update may have been based on, and with nothing else: AIP-154. */
function etagOf({ displayName, scopes, allowedCidrs, limitRequests, limitSeconds, ...row }: Row) {
  const settings = [displayName, scopes, allowedCidrs, limitRequests, limitSeconds];
  const editable = JSON.stringify([...settings, row.expiresAt, row.revokedAt]);
  return createHash('sha256').update(editable).digest('base64url').slice(0, 22);
}

/** The same for a key that is not there and for one that is not the caller's to know of. */
export function noSuchKey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such API key');
}
