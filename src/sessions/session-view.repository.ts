import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { Session } from './session.entity.ts';

/** A session as people see it. */
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
  /** RFC 8176. */
  amr: string[];
};

type Row = Omit<SessionView, 'createdAt' | 'lastUsedAt' | 'expiresAt'> & {
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
};

type WhichSessions = {
  /** Whose; by default anyone's. */
  accountId?: string;
  sessionId?: string;
  /** Only those that began before this one. */
  before?: string | undefined;
  limit: number;
  now: Date;
  idleTtlMs: number;
};

/** Reads sessions for people to see. */
export class SessionViewRepository extends Repository<Session> {
  /** The sessions that can still be refreshed, newest first. */
  async live(which: WhichSessions): Promise<SessionView[]> {
    const rows = await this.query<Row>(
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
}

/** The views of sessions that a connection or a transaction sees. */
export function sessionViewsIn(em: EntityManager): SessionViewRepository {
  return new SessionViewRepository(em, Session);
}

/** The same for a session that does not exist and for one that the caller may not know of. */
export function noSuchSession(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such session');
}
