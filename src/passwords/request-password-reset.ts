import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

/**
 * Mails a link to set a new password if the address belongs to an account that may sign in, and does
 * nothing otherwise. The caller can't tell which (C04). An earlier link becomes void (C06).
 */
export async function requestPasswordReset(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  email: string,
): Promise<void> {
  await inEvenTime(
    () =>
      database.transaction(caller, async (tx) => {
        const account = await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
        if (account?.state !== 'active') return;
        const { id: subject } = account;
        tx.audit({ type: 'account.password_reset_requested', actor: null, subject });
        await mailReset(tx, keyring, account);
      }),
    caller.signal,
  );
}

/** Mails a link to set a new password to the owner of an account that the transaction has locked. */
export async function mailReset(
  tx: Transaction,
  keyring: Keyring,
  { id, email: to, displayName }: Account,
): Promise<void> {
  const { token } = await issueOneTimeToken(tx, keyring, id, 'reset_password');
  await tx.mail({ template: 'reset_password', to, displayName, token });
}
