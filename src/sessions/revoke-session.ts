import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { EndSessionsDeps } from './end-sessions.ts';
import { Session } from './session.entity.ts';
import { sessionsIn } from './session.repository.ts';
import { noSuchSession, type SessionReader } from './session-view.ts';

export type RevokeSessionDeps = EndSessionsDeps & { database: SqlDatabase };

/**
 * Ends one session: the caller's own, or with `sessions.revoke` anybody's (S10). Idempotent: one that
 * has ended stays so. When it returns, the end is on record with its revocation and audit event, this
 * replica refuses the session's tokens, and the others do within a second (S09).
 *
 * Throws `NOT_FOUND`, also for a session of somebody else without the permission.
 */
export async function revokeSession(
  deps: RevokeSessionDeps,
  caller: Caller,
  reader: SessionReader,
  sessionId: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(
    (em) => end(em, deps, caller, reader, sessionId),
    caller.signal,
  );
  afterCommit?.();
}

async function end(
  em: EntityManager,
  deps: RevokeSessionDeps,
  caller: Caller,
  reader: SessionReader,
  sessionId: string,
): Promise<(() => void) | undefined> {
  const session = await em.findOne(Session, { id: sessionId });
  const isTheirs = session?.account === reader.accountId;
  if (!session || !(isTheirs || reader.permissions.includes('sessions.revoke'))) {
    throw noSuchSession();
  }
  const cause = 'session_revoked';
  const subject = await sessionsIn(em).end(sessionId, cause, deps.clock.now());
  if (subject === undefined) return undefined;
  recordAudit(em, deps, caller, {
    type: 'session.ended',
    actor: reader.accountId,
    subject,
    details: { session_id: sessionId, cause },
  });
  return deps.revocations.revokeSessions(em, [sessionId], cause);
}
