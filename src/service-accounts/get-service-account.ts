import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { noSuchServiceAccount } from './lock-service-account.ts';
import { ServiceAccount } from './service-account.entity.ts';

/** One service account. Throws `NOT_FOUND`. */
export async function getServiceAccount(
  { database }: { database: Database },
  caller: Caller,
  id: string,
): Promise<ServiceAccount> {
  const found = await database.read(
    (em) => em.findOne(ServiceAccount, { id: id.toLowerCase(), state: { $ne: 'deleted' } }),
    caller.signal,
  );
  if (!found) throw noSuchServiceAccount();
  return found;
}
