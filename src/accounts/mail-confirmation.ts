import { mayMail } from '../mail/mail-budget.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';

/**
 * Mails a link that proves the address of an account that the transaction has locked. The link confirms
 * the password that is there if that can only be the owner's; otherwise it asks for a new one (C15).
 * `isNew` says that the transaction has created the account, so that there is nothing to make void.
 * Returns whether the address may be sent another mail (C16).
 */
export async function mailConfirmation(
  tx: Transaction,
  keyring: Keyring,
  account: Pick<
    Account,
    'id' | 'email' | 'displayName' | 'locale' | 'signUps' | 'isProved' | 'hasOnePassword'
  >,
  { isNew = false } = {},
): Promise<boolean> {
  const { id, email: to, displayName, locale, signUps: signUp } = account;
  if (account.isProved || account.hasOnePassword) {
    if (!(await mayMail(tx, keyring, 'verify_email', to))) return false;
    const details = { signUp };
    const options = { details, isFirst: isNew };
    const { token } = await issueOneTimeToken(tx, keyring, id, 'verify_email', options);
    await tx.mail({ template: 'verify_email', to, displayName, locale, token });
    return true;
  }
  if (!(await mayMail(tx, keyring, 'reset_password', to))) return false;
  const { token } = await issueOneTimeToken(tx, keyring, id, 'reset_password');
  await tx.mail({ template: 'choose_password', to, displayName, locale, token });
  return true;
}
