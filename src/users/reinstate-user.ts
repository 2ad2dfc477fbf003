import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { showUser } from './get-user.ts';

/** Lets a suspended user sign in again. Idempotent. Throws `NOT_FOUND`, `PERMISSION_DENIED`. */
export function reinstateUser(
  { database }: { database: Database },
  caller: Caller,
  userId: string,
): Promise<User> {
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    if (account.state === 'suspended') {
      account.state = 'active';
      account.updatedAt = tx.now;
      tx.audit({ type: 'account.reinstated', subject: account.id });
      await tx.em.flush();
    }
    return showUser(tx.em, account.id, tx.now);
  });
}
