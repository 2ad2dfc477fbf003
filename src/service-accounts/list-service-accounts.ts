import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { ServiceAccount } from './service-account.entity.ts';

const DEFAULT_PAGE_SIZE = 50;
const QUERY = ['service_accounts'];

/** Service accounts, the newest first. Throws `INVALID_REQUEST` for a page token that is not ours. */
export async function listServiceAccounts(
  { database, keyring }: { database: SqlDatabase; keyring: Keyring },
  caller: Caller,
  request: { pageSize: number; pageToken: string },
): Promise<{ serviceAccounts: ServiceAccount[]; nextPageToken: string }> {
  const before = pagePosition(keyring, QUERY, request.pageToken);
  const limit = request.pageSize || DEFAULT_PAGE_SIZE;
  const found = await database.read(
    (em) =>
      em.find(
        ServiceAccount,
        { state: { $ne: 'deleted' }, ...(before === undefined ? {} : { id: { $lt: before } }) },
        { orderBy: { id: 'desc' }, limit: limit + 1 },
      ),
    caller.signal,
  );
  const serviceAccounts = found.slice(0, limit);
  const last = serviceAccounts.at(-1);
  const nextPageToken = found.length > limit && last ? pageToken(keyring, QUERY, last.id) : '';
  return { serviceAccounts, nextPageToken };
}
