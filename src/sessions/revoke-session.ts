import { type Caller, holds } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { sessionsIn } from './session.repository.ts';
import { noSuchSession } from './session-view.repository.ts';

/**
 * Ends one session: the caller's own, or with `sessions.revoke` anyone's (S10). Idempotent. When it
 * returns, the end is on record with its revocation and audit event, this replica refuses the session's
 * tokens, and the others do within a second (S09).
 *
 * Throws `NOT_FOUND`, also for someone else's session without the permission.
 */
export async function revokeSession(
  { database }: { database: Database },
  caller: Caller,
  sessionId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const sessions = sessionsIn(tx.em);
    const session = await sessions.findOne({ id: sessionId });
    const isOwn = session?.account === caller.subject;
    if (!session || !(isOwn || holds(caller, 'sessions.revoke'))) throw noSuchSession();
    const cause = 'session_revoked';
    const subject = await sessions.end(sessionId, cause, tx.now);
    if (subject === undefined) {
      return tx.repeatRevocation([{ kind: 'session', id: sessionId }]);
    }
    tx.audit({ type: 'session.ended', subject, details: { session_id: sessionId, cause } });
    await tx.revoke([{ kind: 'session', id: sessionId }], cause);
  });
}
