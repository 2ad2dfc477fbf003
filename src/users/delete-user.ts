import type { Actor } from '../access/actor.ts';
import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { eraseAccount } from '../accounts/erase-account.ts';
import type { Caller } from '../platform/caller.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

/**
 * Erases the account of a user who may do no more than the actor (C13): see `eraseAccount`.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN` (A05), `PERMISSION_DENIED`.
 */
export async function deleteUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockUser(userId);
    await requireReach(em, actor, USERS_WRITE, account);
    const { id } = account;
    const erased = await eraseAccount(em, deps, caller, account, actor.id);
    const revoked = await deps.revocations.revokeSubject(em, id, 'account_deleted');
    return () => {
      erased();
      revoked();
    };
  }, caller.signal);
  afterCommit();
  deps.outbox.wake();
}
