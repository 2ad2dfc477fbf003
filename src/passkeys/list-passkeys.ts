import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Passkey } from './passkey.entity.ts';
import { passkeysIn } from './passkey.repository.ts';

/** Returns the caller's passkeys, the oldest first. */
export function listPasskeys(
  { database }: { database: Database },
  caller: Caller,
): Promise<Passkey[]> {
  return database.read(caller, (em) => passkeysIn(em).listOf(caller.subject));
}
