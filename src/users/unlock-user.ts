import { type Actor, requireAll } from '../access/actor.ts';
import { lockUser } from '../accounts/lock-user.ts';
import { recordAudit } from '../audit/record.ts';
import { SignInLock } from '../credentials/sign-in-lock.entity.ts';
import type { Caller } from '../platform/caller.ts';
import type { User } from '../profile/user.ts';
import { heldNow } from '../roles/held-now.ts';
import { showUser } from './get-user.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

/** Forgets a user's wrong passwords and codes (C05). Idempotent. Throws `NOT_FOUND`. */
export function unlockUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
): Promise<User> {
  return deps.database.transaction(async (em) => {
    const { id } = await lockUser(em, userId);
    requireAll(await heldNow(em, actor), [USERS_WRITE]);
    const forgotten = await em.nativeDelete(SignInLock, { account: id });
    if (forgotten > 0) {
      recordAudit(em, deps, caller, { type: 'account.unlocked', actor: actor.id, subject: id });
      await em.flush();
    }
    return showUser(em, deps, id);
  }, caller.signal);
}
