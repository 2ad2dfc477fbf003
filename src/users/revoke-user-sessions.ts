import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';

/** Ends all sessions of a user (S09), and returns how many it ended. Throws `NOT_FOUND`. */
export function revokeUserSessions(
  { database }: { database: Database },
  caller: Caller,
  userId: string,
): Promise<number> {
  return database.transaction(caller, async (tx) => {
    const { id } = await accountsIn(tx.em).lockUser(userId);
    await tx.repeatRevocation({ subject: id });
    return endSessions(tx, id, 'session_revoked');
  });
}
