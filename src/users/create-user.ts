import { requireNow } from '../access/held-now.ts';
import { USER_ROLE } from '../access/permissions.ts';
import { checkEmail } from '../accounts/check-email.ts';
import type { User } from '../accounts/user.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { showUser } from './get-user.ts';
import { invite } from './invite.ts';

/**
 * Creates an account for someone, who is mailed a link to set a password (C08). Of two calls at once,
 * one creates it.
 *
 * Throws `EMAIL_TAKEN`, `INVALID_REQUEST` for an address that looks like another one, and
 * `PERMISSION_DENIED`.
 */
export async function createUser(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  { email, displayName, locale }: { email: string; displayName: string; locale: string },
): Promise<User> {
  checkEmail(email, 'email');
  return database.transaction(caller, async (tx) => {
    await requireNow(tx, ['users.write']);
    const id = await invite(tx, keyring, { email, displayName, locale, roles: [USER_ROLE] });
    return showUser(tx.em, id, tx.now);
  });
}
