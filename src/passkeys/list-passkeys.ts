import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { Passkey } from './passkey.entity.ts';

/** The account's passkeys, the oldest first. */
export function listPasskeys(
  { database }: { database: Database },
  caller: Caller,
  accountId: string,
): Promise<Passkey[]> {
  return database.read((em) => em.getRepository(Passkey).listOf(accountId), caller.signal);
}
