import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type Errands, queueErrand } from '../unit-of-work/errands.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail } from './email.ts';
import { mailConfirmation } from './mail-confirmation.ts';

/**
 * Mails a new verification link, soon after the answer, if the address belongs to an account that waits
 * for one. The caller can't tell whether it does (C04).
 */
export async function resendVerification(
  needs: { database: Database; errands: Errands },
  caller: Caller,
  email: string,
): Promise<void> {
  await queueErrand(needs, caller, { kind: 'resend_verification', email });
}

/**
 * Mails the link if there is such an account and it hasn't been sent too many (C16). If the account's
 * password may not be the owner's, the link asks for a new one (C15).
 */
export async function settleResend(
  tx: Transaction,
  keyring: Keyring,
  { email }: { email: string },
): Promise<void> {
  const account = await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isVerified || account.state !== 'active') return;
  if (!(await mailConfirmation(tx, keyring, account))) return;
  tx.audit({ type: 'account.verification_requested', actor: null, subject: account.id });
}
