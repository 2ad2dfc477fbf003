import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { serviceAccountsIn } from './service-account.repository.ts';

/** Lists service accounts, newest first. Throws `INVALID_REQUEST` for a foreign page token. */
export async function listServiceAccounts(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: PageRequest,
): Promise<{ serviceAccounts: ServiceAccount[]; nextPageToken: string }> {
  const { items: serviceAccounts, nextPageToken } = await readPage(
    keyring,
    ['service_accounts'],
    request,
    (before, limit) =>
      database.read(caller, (em) =>
        serviceAccountsIn(em).find(
          { state: { $ne: 'deleted' }, ...(before === undefined ? {} : { id: { $lt: before } }) },
          { orderBy: { id: 'desc' }, limit },
        ),
      ),
    (account) => account.id,
  );
  return { serviceAccounts, nextPageToken };
}
