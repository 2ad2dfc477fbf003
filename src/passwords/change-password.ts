import { accountGone, accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import { checkOwnPassword } from './check-own-password.ts';
import type { NewPasswords } from './new-passwords.ts';
import { passwordsIn } from './password-credential.repository.ts';
import type { PasswordHasher } from './password-hasher.ts';

/**
 * Changes the caller's password, for which they have to give the current one. Their other sessions
 * end, mailed reset links and sign-ins in progress become void, and a mail tells the owner (C07).
 *
 * Throws `INVALID_CREDENTIALS`, `ACCOUNT_LOCKED`, `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`.
 */
export async function changePassword(
  needs: {
    database: Database;
    keyring: Keyring;
    passwords: PasswordHasher;
    newPasswords: NewPasswords;
  },
  caller: Caller,
  { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
): Promise<void> {
  const { database, keyring, newPasswords } = needs;
  const currentHash = await checkOwnPassword(needs, caller, currentPassword);
  if (currentHash === undefined) throw wrongPassword();
  const { account, last } = await database.read(caller, async (em) => ({
    account: await accountsIn(em).findOne(caller.subject),
    last: await newPasswords.last(em, caller.subject),
  }));
  if (!account) throw accountGone();
  const newHash = await newPasswords.hash(account, last, newPassword, caller);
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    // If the password has changed meanwhile, the caller knows an old one.
    const hash = await passwordsIn(tx.em).hashOf(account.id);
    if (hash !== currentHash) throw wrongPassword();
    await newPasswords.set(tx, account, newHash);
    await oneTimeTokensIn(tx.em).voidSignInTokens(account.id, tx.now);
    tx.audit({ type: 'account.password_changed', subject: account.id });
    await sendNotice(tx, keyring, account, { template: 'password_changed' });
    await endSessions(tx, account.id, 'password_changed', { except: caller.sessionId });
  });
}

function wrongPassword(): Failure {
  const description = 'is not the password of the account';
  return invalidField('current_password', description, 'INVALID_CREDENTIALS');
}
