import { noSuchUser } from '../accounts/lock-user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, EntityManager } from '../platform/database.ts';
import { readUsers, type User } from '../profile/user.ts';

/** One user. Throws `NOT_FOUND`, also for one who was deleted. */
export function getUser(
  deps: { database: Database; clock: Clock },
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
