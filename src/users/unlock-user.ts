import { type Actor, requireAll } from '../access/actor.ts';
import { heldNow } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import { recordAudit } from '../audit/record.ts';
import { SignInLock } from '../passwords/sign-in-lock.entity.ts';
import type { Caller } from '../platform/caller.ts';
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
    const { id } = await accountsIn(em).lockUser(userId);
    requireAll(await heldNow(em, actor), [USERS_WRITE]);
    const forgotten = await em.nativeDelete(SignInLock, { account: id });
    if (forgotten > 0) {
      recordAudit(em, deps, caller, { type: 'account.unlocked', actor: actor.id, subject: id });
      await em.flush();
    }
    return showUser(em, deps, id);
  }, caller.signal);
}
