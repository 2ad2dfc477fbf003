import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Passkey } from './passkey.entity.ts';
import { passkeysIn } from './passkey.repository.ts';

/** The account's passkeys, the oldest first. */
export function listPasskeys(
  { database }: { database: SqlDatabase },
  caller: Caller,
  accountId: string,
): Promise<Passkey[]> {
  return database.read((em) => passkeysIn(em).listOf(accountId), caller.signal);
}
