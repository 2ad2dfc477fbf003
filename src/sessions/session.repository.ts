import { type AuditEventRow, auditEventsIn } from '../audit/audit-event.repository.ts';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { Session } from './session.entity.ts';

/** A refresh token's place in its session: what the database compares and replaces. */
export type Rotation = {
  sessionId: string;
  generation: number;
  hash: Uint8Array;
  keyVersion: number;
  successor: { hash: Uint8Array; keyVersion: number };
  now: Date;
  idleSince: Date;
};

/** A session and what its owner may do at this moment. */
export type RefreshedSession = {
  sessionId: string;
  accountId: string;
  amr: string[];
  authTime: Date;
  refreshedAt: Date;
  expiresAt: Date;
  roles: string[];
  emailVerified: boolean;
};

type Row = Omit<RefreshedSession, 'authTime' | 'refreshedAt' | 'expiresAt'> & {
  authTime: string;
  refreshedAt: string;
  expiresAt: string;
};

function refreshed(row: Row): RefreshedSession {
  return {
    ...row,
    authTime: timestamp(row.authTime),
    refreshedAt: timestamp(row.refreshedAt),
    expiresAt: timestamp(row.expiresAt),
  };
}

const BATCH = 1000;

const OWNER = `
  s.id as "sessionId", s.account_id as "accountId", s.amr, s.auth_time as "authTime",
  s.refreshed_at as "refreshedAt", s.expires_at as "expiresAt", a.roles,
  a.email_verified_at is not null as "emailVerified"`;

/** A session that begins. */
export type NewSession = {
  id: string;
  accountId: string;
  deviceLabel: string;
  userAgent: string;
  ipAddress: string;
  amr: readonly string[];
  now: Date;
  expiresAt: Date;
  refresh: { generation: number; hash: Uint8Array; keyVersion: number };
};

export class SessionRepository extends Repository<Session> {
  /** Inserts a session with its event, and notes the sign-in in its account: one round trip. */
  async open(session: NewSession, event: AuditEventRow): Promise<void> {
    const parameters = [
      session.id,
      session.accountId,
      session.deviceLabel,
      session.userAgent,
      session.ipAddress,
      `{${session.amr.join(',')}}`,
      session.now,
      session.expiresAt,
      session.refresh.generation,
      session.refresh.hash,
      session.refresh.keyVersion,
    ];
    const audit = auditEventsIn(this.em).insertStatement(event, parameters.length + 1);
    await this.query(
      `with opened as (
         insert into sessions (id, account_id, device_label, user_agent, ip_address, amr, auth_time,
           created_at, refreshed_at, expires_at, refresh_generation, refresh_hash, refresh_key_version)
         values ($1, $2, $3, $4, $5, $6::text[], $7, $7, $7, $8, $9, $10, $11)
       ), noted as (update accounts set last_login_at = $7 where id = $2)
       ${audit.sql}`,
      [...parameters, ...audit.parameters],
    );
  }

  /**
   * Replaces the live refresh token by its successor, in one statement. Gives nothing where the
   * presented one is not live, the session is over, or its owner may not sign in. Of several at
   * once, one replaces it: the others wait for its row and then no longer match.
   */
  async rotate(rotation: Rotation): Promise<RefreshedSession | undefined> {
    const rows = await this.query<Row>(
      `update sessions s
       set refresh_generation = s.refresh_generation + 1, refresh_hash = $5,
           refresh_key_version = $6, refreshed_at = $7
       from accounts a
       where s.id = $1 and s.refresh_generation = $2 and s.refresh_hash = $3
         and s.refresh_key_version = $4 and s.ended_at is null and s.expires_at > $7
         and s.refreshed_at > $8 and a.id = s.account_id and a.state = 'active'
       returning ${OWNER}`,
      [
        rotation.sessionId,
        rotation.generation,
        rotation.hash,
        rotation.keyVersion,
        rotation.successor.hash,
        rotation.successor.keyVersion,
        rotation.now,
        rotation.idleSince,
      ],
    );
    return rows.map(refreshed)[0];
  }

  /** The session with its owner, in the shape that `rotate` gives. */
  async findRefreshed(sessionId: string): Promise<RefreshedSession | undefined> {
    const rows = await this.query<Row>(
      `select ${OWNER} from sessions s join accounts a on a.id = s.account_id
       where s.id = $1 and a.state = 'active'`,
      [sessionId],
    );
    return rows.map(refreshed)[0];
  }

  /** Ends a session that has not ended. Gives its owner's id, or nothing where it had. */
  async end(sessionId: string, cause: string, now: Date): Promise<string | undefined> {
    const rows = await this.query<{ accountId: string }>(
      `update sessions set ended_at = $2, end_cause = $3
       where id = $1 and ended_at is null returning account_id as "accountId"`,
      [sessionId, now, cause],
    );
    return rows[0]?.accountId;
  }

  /** Ends all sessions of an account that have not ended, but for one. Gives their ids. */
  async endAll(accountId: string, cause: string, now: Date, except?: string): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `update sessions set ended_at = $2, end_cause = $3
       where account_id = $1 and ended_at is null and expires_at > $2 and id is distinct from $4
       returning id`,
      [accountId, now, cause, except],
    );
    return rows.map(({ id }) => id);
  }

  /** Deletes some of the sessions that were over before `limit`. Says whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from sessions where id in
       (select id from sessions where expires_at < $1 limit ${BATCH}) returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}

/** The sessions that a connection or a transaction sees. */
export function sessionsIn(em: EntityManager): SessionRepository {
  return new SessionRepository(em, Session);
}
