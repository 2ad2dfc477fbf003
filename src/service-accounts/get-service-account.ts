import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { ServiceAccount } from './service-account.entity.ts';
import { noSuchServiceAccount } from './service-account.repository.ts';

/** One service account. Throws `NOT_FOUND`. */
export async function getServiceAccount(
  { database }: { database: SqlDatabase },
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
