import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail } from './email.ts';
import { mailConfirmation } from './mail-confirmation.ts';

/**
 * Mails a new verification link if the address belongs to an account that waits for one, and does
 * nothing otherwise. The caller can't tell which (C04). An earlier link becomes void (C06). If the password
 * that is there may not be the owner's, it is a link to choose one (C15).
 */
export async function resendVerification(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  email: string,
): Promise<void> {
  await inEvenTime(
    () => database.transaction(caller, (tx) => mailAnotherLink(tx, keyring, email)),
    caller.signal,
  );
}

async function mailAnotherLink(tx: Transaction, keyring: Keyring, email: string): Promise<void> {
  const account = await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isVerified || account.state !== 'active') return;
  tx.audit({ type: 'account.verification_requested', actor: null, subject: account.id });
  await mailConfirmation(tx, keyring, account);
}
