import type { Actor } from '../access/actor.ts';
import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
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
    const account = await accountsIn(em).lockUser(userId);
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
