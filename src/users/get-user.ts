import { noSuchUser } from '../accounts/account.repository.ts';
import { readUsers, type User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';

/** One user. Throws `NOT_FOUND`, also for one who was deleted. */
export function getUser(
  deps: { database: SqlDatabase; clock: Clock },
  caller: Caller,
  userId: string,
): Promise<User> {
  return deps.database.read((em) => showUser(em, deps, userId), caller.signal);
}

/** The user as administrators see it, with what the transaction has written. */
export async function showUser(
  em: EntityManager,
  { clock }: { clock: Clock },
  userId: string,
): Promise<User> {
  const [user] = await readUsers(em, [userId.toLowerCase()], clock.now());
  if (!user) throw noSuchUser();
  return user;
}
