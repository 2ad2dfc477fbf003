import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { readUser, type User } from './user.ts';

export type GetMeDeps = { database: SqlDatabase; clock: Clock };

/** The caller's account. */
export function getMe(deps: GetMeDeps, caller: Caller, accountId: string): Promise<User> {
  return deps.database.read((em) => readUser(em, accountId, deps.clock.now()), caller.signal);
}
