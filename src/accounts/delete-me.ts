import type { Caller } from '../platform/caller.ts';
import { accountsIn } from './account.repository.ts';
import { type EraseAccountDeps, eraseAccount } from './erase-account.ts';

/**
 * Erases the caller's account (C13): see `eraseAccount`.
 *
 * Throws `LAST_ADMIN` for the last active administrator, however many go at once (A05).
 */
export async function deleteMe(
  deps: EraseAccountDeps,
  caller: Caller,
  accountId: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    return eraseAccount(em, deps, caller, account, accountId);
  }, caller.signal);
  afterCommit();
  deps.outbox.wake();
}
