import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { noSuchServiceAccount, serviceAccountsIn } from './service-account.repository.ts';

/** Returns one service account. Throws `NOT_FOUND`. */
export async function getServiceAccount(
  { database }: { database: Database },
  caller: Caller,
  id: string,
): Promise<ServiceAccount> {
  const found = await database.read(caller, (em) =>
    serviceAccountsIn(em).findOne({ id: id.toLowerCase(), state: { $ne: 'deleted' } }),
  );
  if (!found) throw noSuchServiceAccount();
  return found;
}
