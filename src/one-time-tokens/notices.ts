import type { Account } from '../accounts/account.entity.ts';
import { mayMail } from '../mail/mail-budget.ts';
import type { Notice } from '../mail/notice-text.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Undo } from './one-time-token.entity.ts';
import { issueOneTimeToken } from './one-time-token.ts';

/**
 * Mails an account's owner about a change that a thief may have made, with a link for
 * AuthService.SecureAccount (E06). `undo` says how this change is undone, when this notice or an earlier
 * one is answered (C14). Call it in the transaction that makes the change and has locked the account.
 * `to` is the address to mail, by default the account's. If nobody has proved that one, anyone may have
 * signed up with it, and its owner is mailed no more notices than C16 allows; an earlier one undoes what
 * the others would have told of.
 */
export async function sendNotice(
  tx: Transaction,
  keyring: Keyring,
  account: Pick<Account, 'id' | 'email' | 'displayName' | 'locale' | 'isVerified'>,
  notice: Notice,
  { undo, to }: { undo?: Undo; to?: string } = {},
): Promise<void> {
  const details = undo ? { undo } : {};
  const { token } = await issueOneTimeToken(tx, keyring, account.id, 'secure_account', { details });
  const { email, displayName, locale, isVerified } = account;
  if (to === undefined && !isVerified && !(await mayMail(tx, keyring, 'notice', email))) return;
  const happenedAt = tx.now.toISOString();
  await tx.mail({ ...notice, to: to ?? email, displayName, locale, token, happenedAt });
}
