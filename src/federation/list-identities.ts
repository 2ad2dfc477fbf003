import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Identity } from './identity.entity.ts';
import { identitiesIn } from './identity.repository.ts';

/** Returns the identities that may sign in to the caller's account, the oldest first. */
export function listIdentities(
  { database }: { database: Database },
  caller: Caller,
): Promise<Identity[]> {
  return database.read(caller, (em) => identitiesIn(em).listOf(caller.subject));
}
