import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { parseRefreshToken } from './refresh-secret.ts';
import { sessionsIn } from './session.repository.ts';

export type LogoutDeps = {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  revocations: RevocationFeed;
};

/**
 * Ends the session of a refresh token, of whatever generation, or else the session with the id that
 * `ownSession` gives. Idempotent: what is over, or was never ours, needs no ending.
 *
 * When it returns, the session's end is on record with its revocation and audit event, this replica
 * refuses its access tokens, and the others do within a second.
 */
export async function logout(
  deps: LogoutDeps,
  caller: Caller,
  presented: string,
  ownSession: () => string,
): Promise<void> {
  const sessionId =
    presented === '' ? ownSession() : parseRefreshToken(deps.keyring, presented)?.sessionId;
  if (sessionId === undefined) return;
  const afterCommit = await deps.database.transaction(async (em) => {
    const accountId = await sessionsIn(em).end(sessionId, 'logout', deps.clock.now());
    if (accountId === undefined) return;
    recordAudit(em, deps, caller, {
      type: 'session.ended',
      actor: accountId,
      subject: accountId,
      details: { session_id: sessionId, cause: 'logout' },
    });
    await em.flush();
    return deps.revocations.revokeSessions(em, [sessionId], 'logout');
  }, caller.signal);
  afterCommit?.();
}
