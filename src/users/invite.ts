import { v7 as uuidv7 } from 'uuid';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { flushAddress, freeAddress } from '../accounts/take-address.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

const INVITATION_TTL_MS = 24 * 3600_000;

export type Invitation = {
  email: string;
  displayName: string;
  /** The language of the invitation, and of the mails that follow; empty: English. */
  locale?: string;
  roles: readonly string[];
};

/**
 * Creates an account without a password and mails its owner a link to set one, which nobody else sees
 * (C08). Returns the new account's id. Throws `EMAIL_TAKEN`.
 */
export async function invite(
  tx: Transaction,
  keyring: Keyring,
  { email, displayName, locale = '', roles }: Invitation,
): Promise<string> {
  const { em, now } = tx;
  await freeAddress(tx, email);
  const values = {
    id: uuidv7(),
    email,
    canonicalEmail: canonicalEmail(email),
    displayName,
    locale: locale || null,
    state: 'active' as const,
    emailVerifiedAt: null,
    roles: [...roles],
    createdAt: now,
    updatedAt: now,
    lastLoginAt: null,
    invitedAt: now,
  };
  const account = accountsIn(em).create(values, { partial: true });
  em.persist(account);
  await flushAddress(em);
  tx.audit({ type: 'account.invited', subject: account.id, details: { roles } });
  await mailInvitation(tx, keyring, account);
  return account.id;
}

/**
 * Mails a link to set the first password to the owner of an account that the transaction has locked.
 */
export async function mailInvitation(
  tx: Transaction,
  keyring: Keyring,
  { id, email: to, displayName, locale }: Account,
): Promise<void> {
  const ttl = { ttlMs: INVITATION_TTL_MS };
  const { token } = await issueOneTimeToken(tx, keyring, id, 'reset_password', ttl);
  await tx.mail({ template: 'invitation', to, displayName, locale, token });
}
