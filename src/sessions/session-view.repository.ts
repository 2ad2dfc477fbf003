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

/** A session that somebody asks for; `accountId` undefined: whosever it is. */
export type OneSession = { sessionId: string; accountId: string | undefined; idleTtlMs: number };

type WhichSessions = {
  /** Whose; by default anyone's. */
  accountId?: string;
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
      `select ${viewed('$2')} from sessions s
       where ${live('$2')} and ($3::uuid is null or account_id = $3)
         and ($4::uuid is null or id < $4)
       order by id desc limit $5`,
      [which.now, which.idleTtlMs, which.accountId ?? null, which.before ?? null, which.limit],
    );
    return rows.map(viewOf);
  }

  /** Each of these sessions that can still be refreshed, in the order of the questions. */
  async liveEach(asked: readonly OneSession[], now: Date): Promise<(SessionView | undefined)[]> {
    const rows = await this.query<Row & { place: number }>(
      `select asked.place, ${viewed('asked.idle')}
       from unnest($2::uuid[], $3::uuid[], $4::float8[]) with ordinality
         as asked (session, account, idle, place)
       join sessions s on s.id = asked.session
       where ${live('asked.idle')} and (asked.account is null or s.account_id = asked.account)`,
      [
        now,
        asked.map(({ sessionId }) => sessionId),
        asked.map(({ accountId }) => accountId ?? null),
        asked.map(({ idleTtlMs }) => idleTtlMs),
      ],
    );
    const byPlace = new Map(rows.map(({ place, ...row }) => [Number(place), viewOf(row)]));
    return asked.map((_, index) => byPlace.get(index + 1));
  }
}

/** The columns of a view; `idle` is the SQL for the milliseconds that a session may go unused. */
const viewed = (idle: string) => `
  s.id as "sessionId", s.account_id as "userId", s.device_label as "deviceLabel",
  s.user_agent as "userAgent", s.ip_address as "ipAddress", s.created_at as "createdAt",
  s.refreshed_at as "lastUsedAt", s.amr,
  least(s.expires_at, s.refreshed_at + ${idle} * interval '1 millisecond') as "expiresAt"`;

/** Whether a session can still be refreshed. `$1` is the present time. */
const live = (idle: string) => `
  s.ended_at is null and s.expires_at > $1
  and s.refreshed_at + ${idle} * interval '1 millisecond' > $1`;

function viewOf(row: Row): SessionView {
  return {
    ...row,
    createdAt: timestamp(row.createdAt),
    lastUsedAt: timestamp(row.lastUsedAt),
    expiresAt: timestamp(row.expiresAt),
  };
}

/** The views of sessions that a connection or a transaction sees. */
export function sessionViewsIn(em: EntityManager): SessionViewRepository {
  return new SessionViewRepository(em, Session);
}

/** The same for a session that does not exist and for one that the caller may not know of. */
export function noSuchSession(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such session');
}
