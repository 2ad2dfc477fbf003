import { type Actor, requireAll } from '../access/actor.ts';
import { heldNow } from '../access/held-now.ts';
import { USER_ROLE } from '../access/permissions.ts';
import { checkEmail } from '../accounts/email.ts';
import type { User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import { showUser } from './get-user.ts';
import { invite } from './invite.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

/**
 * Creates an account for somebody, who is mailed a link to set a password (C08). Called twice, by two
 * at once: one of them creates it.
 *
 * Throws `EMAIL_TAKEN`, and `INVALID_REQUEST` for an address that looks like another one.
 */
export async function createUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  { email, displayName }: { email: string; displayName: string },
): Promise<User> {
  checkEmail(email, 'email');
  const user = await deps.database.transaction(async (em) => {
    requireAll(await heldNow(em, actor), [USERS_WRITE]);
    const invitation = { email, displayName, roles: [USER_ROLE], actor: actor.id };
    return showUser(em, deps, await invite(em, deps, caller, invitation));
  }, caller.signal);
  deps.outbox.wake();
  return user;
}
