import { v7 as uuidv7 } from 'uuid';
import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { serviceAccountsIn } from './service-account.repository.ts';

/** Creates a service account without any role. Throws `PERMISSION_DENIED`. */
export function createServiceAccount(
  { database }: { database: Database },
  caller: Caller,
  { displayName, description }: { displayName: string; description: string },
): Promise<ServiceAccount> {
  return database.transaction(caller, async (tx) => {
    await requireNow(tx, ['service_accounts.write']);
    const created = serviceAccountsIn(tx.em).create({
      id: uuidv7(),
      displayName,
      description,
      roles: [],
      state: 'active',
      createdAt: tx.now,
      updatedAt: tx.now,
    });
    tx.audit({ type: 'service_account.created', subject: created.id });
    await tx.em.persist(created).flush();
    return created;
  });
}
