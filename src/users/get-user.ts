import { noSuchUser } from '../accounts/account.repository.ts';
import { readUsers, type User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';

/** Returns one user. Throws `NOT_FOUND`, also for a deleted one. */
export function getUser(
  { database }: { database: Database },
  caller: Caller,
  userId: string,
): Promise<User> {
  return database.read(caller, (em, now) => showUser(em, userId, now));
}

/** Reads a user as administrators see it, with what the transaction has flushed. Throws `NOT_FOUND`. */
export async function showUser(em: EntityManager, userId: string, now: Date): Promise<User> {
  const [user] = await readUsers(em, [userId.toLowerCase()], now);
  if (!user) throw noSuchUser();
  return user;
}
