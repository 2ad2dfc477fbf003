import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import { signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { showUser } from './get-user.ts';

/**
 * Forgets a user's wrong passwords and codes, and lifts the locks for them (C05). Idempotent. Only for a
 * user who may do no more than the caller (A08), who could otherwise keep guessing forever.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`.
 */
export function unlockUser(
  { database }: { database: Database },
  caller: Caller,
  userId: string,
): Promise<User> {
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    const { id } = account;
    const forgotten = await signInLocksIn(tx.em).nativeDelete({ account: id });
    if (forgotten > 0) tx.audit({ type: 'account.unlocked', subject: id });
    return showUser(tx.em, id, tx.now);
  });
}
