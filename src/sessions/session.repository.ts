import { type AuditEventRow, auditEventsIn } from '../audit/audit-event.repository.ts';
import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Session } from './session.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

/** A session that is being opened. */
export type NewSession = {
  id: string;
  accountId: string;
  deviceLabel: string;
  userAgent: string;
  ipAddress: string;
  amr: readonly string[];
  idp: string | null;
  /** When the owner proved who they are. */
  provedAt: Date;
  now: Date;
  expiresAt: Date;
  inBrowser: boolean;
  refresh: { generation: number; hash: Uint8Array; keyVersion: number };
};

/** What a session's first access token says about its owner. */
export type SessionOwner = {
  roles: readonly string[];
  tokenVersion: number;
  isVerified: boolean;
};

/** The SQL of sessions. */
export class SessionRepository extends Repository<Session> {
  /** Inserts a session with its audit event and notes the sign-in in its account, in one statement. */
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
      session.inBrowser,
      session.idp,
      session.provedAt,
    ];
    const audit = auditEventsIn(this.em).insertStatement(event, parameters.length + 1);
    await this.query(
      `with opened as (
         insert into sessions (id, account_id, device_label, user_agent, ip_address, amr, auth_time,
           created_at, refreshed_at, expires_at, refresh_generation, refresh_hash, refresh_key_version,
           in_browser, idp)
         values ($1, $2, $3, $4, $5, $6::text[], $14, $7, $7, $8, $9, $10, $11, $12, $13)
       ), noted as (update accounts set last_login_at = $7 where id = $2)
       ${audit.sql}`,
      [...parameters, ...audit.parameters],
    );
  }

  /**
   * The same for a sign-in whose password matched `checkedHash`, outside a transaction, if nothing about
   * it has to be decided: the account is active, verified if `needsVerified`, not locked by anyone or
   * for wrong passwords, and has no authenticator app, the hash is still its own, and the device is
   * known by this very address. Otherwise changes nothing and returns undefined.
   */
  async openAtOnce(
    session: NewSession,
    event: AuditEventRow,
    { checkedHash, needsVerified }: { checkedHash: string; needsVerified: boolean },
  ): Promise<SessionOwner | undefined> {
    const { refresh, now, ...given } = session;
    const row = {
      id: given.id,
      account_id: given.accountId,
      device_label: given.deviceLabel,
      user_agent: given.userAgent,
      ip_address: given.ipAddress,
      amr: given.amr,
      created_at: now,
      expires_at: given.expiresAt,
      refresh_generation: refresh.generation,
      refresh_hash: Buffer.from(refresh.hash).toString('hex'),
      refresh_key_version: refresh.keyVersion,
      in_browser: given.inBrowser,
    };
    const audit = auditEventsIn(this.em).columnsOf(event);
    const rows = await this.query<SessionOwner>(
      `select roles, token_version as "tokenVersion", is_verified as "isVerified"
       from open_session_at_once($1::jsonb, $2::jsonb, $3, $4)`,
      [JSON.stringify(row), JSON.stringify(audit), checkedHash, needsVerified],
    );
    return rows[0];
  }

  /** Throws `TOKEN_REVOKED` if a session has ended; this replica may not have heard of that yet. */
  async requireLive(sessionId: string): Promise<void> {
    if ((await this.count({ id: sessionId, endedAt: null })) > 0) return;
    throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the session has ended; sign in again');
  }

  /** Ends a session and returns its owner's id; undefined if it does not exist or had ended before. */
  async end(sessionId: string, cause: string, now: Date): Promise<string | undefined> {
    const rows = await this.query<{ accountId: string }>(
      `update sessions set ended_at = $2, end_cause = $3
       where id = $1 and ended_at is null returning account_id as "accountId"`,
      [sessionId, now, cause],
    );
    return rows[0]?.accountId;
  }

  /** Ends an account's sessions, except `except` and those that are over, and returns their ids. */
  async endAll(accountId: string, cause: string, now: Date, except?: string): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `update sessions set ended_at = $2, end_cause = $3
       where account_id = $1 and ended_at is null and expires_at > $2 and id is distinct from $4
       returning id`,
      [accountId, now, cause, except],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Notes that somebody else may have opened the sessions of an account, except `except`. Those that had
   * ended before are included: they no longer vouch for a device.
   */
  async disown(accountId: string, cause: string, except?: string): Promise<void> {
    await this.query(
      `update sessions set end_cause = $2
       where account_id = $1 and id is distinct from $3 and end_cause is distinct from $2`,
      [accountId, cause, except],
    );
  }

  /** Deletes some of the sessions that expired before `limit`. Returns whether there may be more. */
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
