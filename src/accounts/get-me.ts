import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountGone } from './account.repository.ts';
import { readUsers, type User } from './user.ts';

/** Returns the caller's account. Throws `TOKEN_REVOKED` once it is gone. */
export async function getMe({ database }: { database: Database }, caller: Caller): Promise<User> {
  const user = await database.together(caller, usersOf, caller.subject);
  if (!user) throw accountGone();
  return user;
}

/** The accounts of all who ask at once, in one statement. */
async function usersOf(
  em: EntityManager,
  now: Date,
  userIds: readonly string[],
): Promise<(User | undefined)[]> {
  const users = await readUsers(em, userIds, now);
  const byId = new Map(users.map((user) => [user.userId, user]));
  return userIds.map((id) => byId.get(id));
}
