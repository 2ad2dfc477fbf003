import { mayMail } from '../mail/mail-budget.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { accountsIn } from './account.repository.ts';
import { checkEmail } from './check-email.ts';
import { canonicalEmail } from './email.ts';

/**
 * Mails a link to the address that the caller wants to have. Nothing changes until its token comes
 * back. If the address belongs to someone else, that person is told instead, and the caller can't tell
 * the difference (C04). An earlier link becomes void.
 */
export async function changeEmail(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  newEmail: string,
): Promise<void> {
  checkEmail(newEmail, 'new_email');
  await inEvenTime(
    () => database.transaction(caller, (tx) => mailLink(tx, keyring, newEmail)),
    caller.signal,
  );
}

async function mailLink(tx: Transaction, keyring: Keyring, newEmail: string): Promise<void> {
  const accounts = accountsIn(tx.em);
  const account = await accounts.lockOwn(tx.caller);
  const canonical = canonicalEmail(newEmail);
  if (canonical === account.canonicalEmail) {
    throw invalidField('new_email', 'is already the address of the account');
  }
  tx.audit({
    type: 'account.email_change_requested',
    subject: account.id,
    personal: { before: { email: account.email }, after: { email: newEmail } },
  });
  // Both mails share one budget: whether earlier links still work reveals nothing about the address.
  if (!(await mayMail(tx, keyring, 'change_email', newEmail))) return;
  const details = { newEmail };
  const { token } = await issueOneTimeToken(tx, keyring, account.id, 'change_email', { details });
  const holder = await accounts.findLive({ canonicalEmail: canonical });
  if (!holder || holder.isDisposable) {
    const { displayName, locale } = account;
    await tx.mail({ template: 'change_email', to: newEmail, displayName, locale, token });
    return;
  }
  const { email: to, displayName, locale } = holder;
  await tx.mail({ template: 'address_taken', to, displayName, locale });
}
