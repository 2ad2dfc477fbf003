import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { endAllSessions } from './end-sessions.ts';
import type { RevokeSessionDeps } from './revoke-session.ts';
import type { SessionReader } from './session-view.ts';

/** Ends all the caller's sessions but the one that calls. Gives how many have ended by this. */
export async function revokeOtherSessions(
  deps: RevokeSessionDeps,
  caller: Caller,
  { accountId, sessionId }: SessionReader,
): Promise<number> {
  const { count, afterCommit } = await deps.database.transaction(async (em) => {
    // So that two of these end the sessions one after the other, not each some of them.
    await accountsIn(em).lockOwn(accountId);
    return endAllSessions(em, deps, caller, accountId, 'session_revoked', {
      except: sessionId,
    });
  }, caller.signal);
  afterCommit();
  return count;
}
