import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { endSessions } from './end-sessions.ts';

/** Ends all the caller's sessions except the one that calls, and returns how many it ended. */
export function revokeOtherSessions(
  { database }: { database: Database },
  caller: Caller,
): Promise<number> {
  return database.transaction(caller, async (tx) => {
    // Two of these calls at once must not each end only some of the sessions.
    await accountsIn(tx.em).lockOwn(caller);
    await tx.repeatRevocation({ subject: caller.subject });
    return endSessions(tx, caller.subject, 'session_revoked', { except: caller.sessionId });
  });
}
