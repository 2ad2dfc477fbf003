import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { readUser, type User } from './user.ts';

/** Returns the caller's account. */
export function getMe({ database }: { database: Database }, caller: Caller): Promise<User> {
  return database.read(caller, (em, now) => readUser(em, caller.subject, now));
}
