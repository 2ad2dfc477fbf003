import { requireReach } from '../access/held-now.ts';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { checkEmail } from '../accounts/check-email.ts';
import { mailConfirmation } from '../accounts/mail-confirmation.ts';
import { takeAddress } from '../accounts/take-address.ts';
import type { User } from '../accounts/user.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { showUser } from './get-user.ts';

export type UpdateUser = {
  userId: string;
  displayName: string;
  /** Empty: English. */
  locale: string;
  email: string;
  /** The version of the account to change; empty: any. */
  etag: string;
  /** Field names (AIP-134). Empty: those that can be changed and are not empty. */
  mask: readonly string[];
};

/** The new values of the fields that are updated. */
type Changes = { profile: Profile; email?: string };

const PROFILE = ['display_name', 'locale'] as const;
/** By the names of the fields. */
type Profile = { display_name?: string; locale?: string };

/**
 * Changes a user who may do no more than the caller. A new address has to be proved again; the old
 * one is mailed a link that takes it back (E06), and the sessions end.
 *
 * Throws `NOT_FOUND`, `INVALID_REQUEST`, `ETAG_MISMATCH`, `EMAIL_TAKEN`, `PERMISSION_DENIED`.
 */
export async function updateUser(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: UpdateUser,
): Promise<User> {
  const { userId, etag } = request;
  const { profile, email } = changesIn(request);
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    const before = await showUser(tx.em, account.id, tx.now);
    requireEtag(etag, before.etag);
    const isOther = changeProfile(tx, account, profile);
    const isMoving = email !== undefined && (email !== account.email || account.isParked);
    if (!isOther && !isMoving) return before;
    account.updatedAt = tx.now;
    if (isMoving) await move(tx, keyring, account, email);
    await tx.em.flush();
    return showUser(tx.em, account.id, tx.now);
  });
}

function changesIn({ mask, userId, displayName, locale, email }: UpdateUser): Changes {
  const values = { display_name: displayName, locale, email };
  const names = ['display_name', 'locale', 'email'] as const;
  const fields = fieldsToUpdate(mask, names, (name) => values[name] !== '');
  if (userId === '') throw missing('user.user_id');
  const changesEmail = fields.includes('email');
  if (changesEmail && email === '') throw missing('user.email');
  if (changesEmail) checkEmail(email, 'user.email');
  return {
    profile: {
      ...(fields.includes('display_name') && { display_name: displayName }),
      ...(fields.includes('locale') && { locale }),
    },
    ...(changesEmail && { email }),
  };
}

/** Changes what people are called, and the language of their mails. Returns whether anything is new. */
function changeProfile(
  tx: Transaction,
  account: Account,
  { display_name = account.displayName, locale = account.locale ?? '' }: Profile,
): boolean {
  const before = { display_name: account.displayName, locale: account.locale ?? '' };
  const after = { display_name, locale };
  const fields = PROFILE.filter((name) => before[name] !== after[name]);
  if (fields.length === 0) return false;
  account.displayName = display_name;
  account.locale = locale || null;
  const only = (values: typeof before) =>
    Object.fromEntries(fields.map((name) => [name, values[name]]));
  tx.audit({
    type: 'account.updated',
    subject: account.id,
    details: { fields },
    personal: { before: only(before), after: only(after) },
  });
  return true;
}

/** Changes the account's address to one that its owner has yet to prove. */
async function move(
  tx: Transaction,
  keyring: Keyring,
  account: Account,
  email: string,
): Promise<void> {
  const { email: oldEmail, id, isVerified } = account;
  account.invitedAt ??= tx.now;
  await takeAddress(tx, account, email, null);
  await oneTimeTokensIn(tx.em).voidSignInTokens(id, tx.now);
  const personal = { before: { email: oldEmail }, after: { email } };
  tx.audit({ type: 'account.email_changed', subject: id, personal });
  const notice = { template: 'email_changed' as const, newEmail: email };
  const undo = isVerified ? { undo: { email: oldEmail } } : {};
  await sendNotice(tx, keyring, account, notice, { to: oldEmail, ...undo });
  await mailConfirmation(tx, keyring, account);
  await endSessions(tx, id, 'email_changed');
}

function missing(path: string) {
  return invalidField(path, 'is missing');
}
