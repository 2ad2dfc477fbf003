import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { mayMail } from '../mail/mail-budget.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type Errands, queueErrand } from '../unit-of-work/errands.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

/**
 * Mails a link to set a new password, soon after the answer, if the address belongs to an account that
 * may sign in. The caller can't tell whether it does (C04).
 */
export async function requestPasswordReset(
  needs: { database: Database; errands: Errands },
  caller: Caller,
  email: string,
): Promise<void> {
  await queueErrand(needs, caller, { kind: 'request_password_reset', email });
}

/** Mails the link if there is such an account and it hasn't been sent too many (C16). */
export async function settlePasswordReset(
  tx: Transaction,
  keyring: Keyring,
  { email }: { email: string },
): Promise<void> {
  const account = await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (account?.state !== 'active') return;
  if (!(await mayMail(tx, keyring, 'reset_password', account.email))) return;
  tx.audit({ type: 'account.password_reset_requested', actor: null, subject: account.id });
  await mailReset(tx, keyring, account);
}

/** Mails a link to set a new password to the owner of an account that the transaction has locked. */
export async function mailReset(
  tx: Transaction,
  keyring: Keyring,
  { id, email: to, displayName, locale }: Account,
): Promise<void> {
  const { token } = await issueOneTimeToken(tx, keyring, id, 'reset_password');
  await tx.mail({ template: 'reset_password', to, displayName, locale, token });
}
