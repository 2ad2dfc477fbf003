import { requireReach } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { emailTaken } from '../accounts/take-address.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';

/**
 * Mails a user who may do no more than the caller (A08) a link to set a new password, which only the user
 * sees (C08), however many mails others have caused (C16).
 *
 * Throws `NOT_FOUND`, `ACCOUNT_SUSPENDED`, `PERMISSION_DENIED`, and `EMAIL_TAKEN` if the user can't sign in
 * by the address because another account has it.
 */
export async function sendPasswordReset(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  userId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    if (account.state !== 'active') {
      const message = 'the user is suspended; reinstate them first';
      throw new Failure('precondition', 'ACCOUNT_SUSPENDED', message);
    }
    if (account.isParked) throw emailTaken();
    tx.audit({ type: 'account.password_reset_sent', subject: account.id });
    await mailReset(tx, keyring, account);
  });
}
