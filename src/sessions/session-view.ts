import { Failure } from '../platform/failure.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';

/** Who asks, and what they may see and end beside their own. */
export type SessionReader = {
  accountId: string;
  sessionId: string;
  permissions: readonly string[];
};

/** A session as people are shown it. */
export type SessionView = {
  sessionId: string;
  userId: string;
  deviceLabel: string;
  userAgent: string;
  ipAddress: string;
  createdAt: Date;
  lastUsedAt: Date;
  /** When it ends if it is not used. */
  expiresAt: Date;
  amr: string[];
};

type Row = Omit<SessionView, 'createdAt' | 'lastUsedAt' | 'expiresAt'> & {
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
};

export type LiveSessions = {
  /** Of this account, or else of any. */
  accountId?: string;
  sessionId?: string;
  /** Only those that began before this one. */
  before?: string | undefined;
  limit: number;
  now: Date;
  idleTtlMs: number;
};

/** Reads sessions that can still be refreshed, the newest first. */
export async function liveSessions(em: EntityManager, which: LiveSessions): Promise<SessionView[]> {
  const rows = await query<Row>(
    em,
    `select id as "sessionId", account_id as "userId", device_label as "deviceLabel",
       user_agent as "userAgent", ip_address as "ipAddress", created_at as "createdAt",
       refreshed_at as "lastUsedAt", amr,
       least(expires_at, refreshed_at + $2 * interval '1 millisecond') as "expiresAt"
     from sessions
     where ended_at is null and expires_at > $1
       and refreshed_at + $2 * interval '1 millisecond' > $1
       and ($3::uuid is null or account_id = $3) and ($4::uuid is null or id = $4)
       and ($5::uuid is null or id < $5)
     order by id desc limit $6`,
    [
      which.now,
      which.idleTtlMs,
      which.accountId ?? null,
      which.sessionId ?? null,
      which.before ?? null,
      which.limit,
    ],
  );
  return rows.map((row) => ({
    ...row,
    createdAt: timestamp(row.createdAt),
    lastUsedAt: timestamp(row.lastUsedAt),
    expiresAt: timestamp(row.expiresAt),
  }));
}

/** The same for a session that is not there and for one that is not the caller's to know of. */
export function noSuchSession(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such session');
}
