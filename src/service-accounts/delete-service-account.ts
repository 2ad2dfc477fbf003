import { requireReach } from '../access/held-now.ts';
import { scopeUsesIn } from '../mesh/scope-use.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { serviceAccountsIn } from './service-account.repository.ts';

/**
 * Deletes a service account that may do no more than the caller. Its keys, and the tokens that they
 * were exchanged for, are refused within a second (S09).
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`.
 */
export async function deleteServiceAccount(
  { database }: { database: Database },
  caller: Caller,
  id: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await serviceAccountsIn(tx.em).lock(id);
    await requireReach(tx, 'service_accounts.write', account);
    const { roles } = account;
    account.state = 'deleted';
    account.roles = [];
    account.updatedAt = tx.now;
    tx.audit({ type: 'service_account.deleted', subject: account.id, details: { roles } });
    await scopeUsesIn(tx.em).eraseOf(account.id);
    await tx.revokeSubject(account.id, 'service_account_deleted');
  });
}
