import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountsIn } from './account.repository.ts';
import { eraseAccount } from './erase-account.ts';

/**
 * Erases the caller's account (C13): see `eraseAccount`.
 *
 * Throws `LAST_ADMIN` for the last active administrator, even if several leave at once (A05).
 */
export async function deleteMe(
  { database, ...needs }: { database: Database; keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    await eraseAccount(tx, needs, account);
  });
}
