import type { Actor } from '../access/actor.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { endAllSessions } from '../sessions/end-sessions.ts';
import type { UserDeps } from './user-deps.ts';

/** Ends all sessions of a user (S09). Gives how many have ended by this. Throws `NOT_FOUND`. */
export async function revokeUserSessions(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
): Promise<number> {
  const { count, afterCommit } = await deps.database.transaction(async (em) => {
    const { id } = await accountsIn(em).lockUser(userId);
    return endAllSessions(em, deps, caller, id, 'session_revoked', { actor: actor.id });
  }, caller.signal);
  afterCommit();
  return count;
}
