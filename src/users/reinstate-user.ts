import type { Actor } from '../access/actor.ts';
import { lockUser } from '../accounts/lock-user.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { User } from '../profile/user.ts';
import { requireReach } from '../roles/held-now.ts';
import { showUser } from './get-user.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

/** Lets a suspended user sign in again. Idempotent. Throws `NOT_FOUND`, `PERMISSION_DENIED`. */
export function reinstateUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
): Promise<User> {
  return deps.database.transaction(async (em) => {
    const account = await lockUser(em, userId);
    await requireReach(em, actor, USERS_WRITE, account);
    if (account.state === 'suspended') {
      account.state = 'active';
      account.updatedAt = deps.clock.now();
      recordAudit(em, deps, caller, {
        type: 'account.reinstated',
        actor: actor.id,
        subject: account.id,
      });
      await em.flush();
    }
    return showUser(em, deps, userId);
  }, caller.signal);
}
