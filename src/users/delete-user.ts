import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { eraseAccount } from '../accounts/erase-account.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';

/**
 * Erases the account of a user who may do no more than the caller (C13): see `eraseAccount`.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN` (A05), `PERMISSION_DENIED`.
 */
export async function deleteUser(
  { database, ...needs }: { database: Database; keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  userId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    await eraseAccount(tx, needs, account);
    await tx.revokeSubject(account.id, 'account_deleted');
  });
}
