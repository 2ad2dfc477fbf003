import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { parseRefreshToken } from './refresh-secret.ts';
import { sessionsIn } from './session.repository.ts';

/**
 * Ends the session of a refresh token of any generation, or the caller's own if `presented` is empty.
 * Idempotent: does nothing if the session has ended, or if the token was never issued here.
 *
 * When it returns, the session's end is on record with its revocation and audit event, this replica
 * refuses its access tokens, and the others do within a second.
 */
export async function logout(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  presented: string,
): Promise<void> {
  const sessionId =
    presented === '' ? caller.sessionId : parseRefreshToken(keyring, presented)?.sessionId;
  if (!sessionId) return;
  await database.transaction(caller, async (tx) => {
    const accountId = await sessionsIn(tx.em).end(sessionId, 'logout', tx.now);
    if (accountId === undefined) {
      return tx.repeatRevocation([{ kind: 'session', id: sessionId }]);
    }
    tx.audit({
      type: 'session.ended',
      actor: accountId,
      subject: accountId,
      details: { session_id: sessionId, cause: 'logout' },
    });
    await tx.revoke([{ kind: 'session', id: sessionId }], 'logout');
  });
}
