import { v7 as uuidv7 } from 'uuid';
import { mayMail } from '../mail/mail-budget.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { passwordsIn } from '../passwords/password-credential.repository.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import type { PasswordPolicy } from '../passwords/password-policy.ts';
import { signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import { unavailable } from '../platform/failure.ts';
import { localeOf } from '../texts/languages.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type Errand, type Errands, queueErrand } from '../unit-of-work/errands.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { accountsIn } from './account.repository.ts';
import { checkEmail } from './check-email.ts';
import { canonicalEmail } from './email.ts';
import { mailConfirmation } from './mail-confirmation.ts';

export type SignUp = { email: string; password: string; displayName: string };

/**
 * Creates an account that waits for its address to be verified, soon after the answer.
 *
 * Reveals nothing about whether the address is taken (C04): in every case the password is hashed and the
 * sign-up queued. If sign-in doesn't require a verified address, the account is created before the
 * answer instead: anyone can then tell whether the address was free by trying to sign in.
 */
export async function signUp(
  needs: {
    database: Database;
    errands: Errands;
    keyring: Keyring;
    passwords: PasswordHasher;
    passwordPolicy: PasswordPolicy;
    requireVerifiedEmail: boolean;
  },
  caller: Caller,
  request: SignUp,
): Promise<void> {
  const { email, password, displayName } = request;
  const { signal } = caller;
  checkEmail(email, 'email');
  const ownWords = [email, displayName];
  await needs.passwordPolicy.check(password, { field: 'password', ownWords, caller });
  const passwordHash = await needs.passwords.hash(password, signal);
  const errand = { kind: 'sign_up' as const, email, displayName, passwordHash };
  if (needs.requireVerifiedEmail) return queueErrand(needs, caller, errand);
  const work = (tx: Transaction) => settleSignUp(tx, needs.keyring, errand);
  await inEvenTime(() => needs.database.transaction(caller, work), signal);
}

/**
 * Sets the account up if the address is free or unclaimed, and mails the link that verifies it;
 * otherwise tells its owner, and leaves the account alone.
 *
 * An unclaimed account takes the new password and name. But once there has been a second sign-up, no
 * link confirms the password of either: nobody knows which of them is the owner's (C15). The mail then
 * has a link to choose a new password.
 */
export async function settleSignUp(
  tx: Transaction,
  keyring: Keyring,
  { email, displayName, passwordHash }: Extract<Errand, { kind: 'sign_up' }>,
): Promise<void> {
  const accounts = accountsIn(tx.em);
  const id = uuidv7();
  const event = tx.auditEvent({ type: 'account.created', actor: id, subject: id });
  const locale = localeOf(tx.caller.languages);
  const added = { id, email, displayName, locale, passwordHash };
  if (await accounts.insertIfFree(added, tx.now, event)) {
    const signUp = { ...added, signUps: 1, isProved: false, hasOnePassword: true };
    return void (await mailConfirmation(tx, keyring, signUp, { isNew: true }));
  }
  const account = await accounts.lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account) throw unavailable('the address');
  // Links that were mailed before no longer confirm a password.
  if (!account.isProved) account.signUps += 1;
  if (!account.isUnclaimed) {
    const { email: to, displayName, locale } = account;
    if (!(await mayMail(tx, keyring, 'address_taken', to))) return;
    await tx.mail({ template: 'address_taken', to, displayName, locale });
    return;
  }
  account.email = email;
  account.displayName = displayName;
  account.locale = locale;
  account.updatedAt = tx.now;
  await passwordsIn(tx.em).set(account.id, passwordHash, tx.now);
  // Someone who signed up earlier may have locked the address on purpose.
  await signInLocksIn(tx.em).forget(account.id, 'password');
  tx.audit({ type: 'account.created', actor: account.id, subject: account.id });
  // Links to choose a password stay valid: they don't confirm an existing one.
  await oneTimeTokensIn(tx.em).voidLive(account.id, 'verify_email', tx.now);
  await mailConfirmation(tx, keyring, account);
}
