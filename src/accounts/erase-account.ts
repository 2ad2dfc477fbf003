import type { EntityName } from '@mikro-orm/core';
import { refuseLastAdmin } from '../access/last-admin.ts';
import { apiKeysIn } from '../api-keys/api-key.repository.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { revokeKeys } from '../api-keys/revoke-keys.ts';
import { erasePersonalData } from '../audit/erase-personal-data.ts';
import { Identity } from '../federation/identity.entity.ts';
import { mayMail } from '../mail/mail-budget.ts';
import { scopeUsesIn } from '../mesh/scope-use.repository.ts';
import { shadowDenialsIn } from '../mesh/shadow-denial.repository.ts';
import { OneTimeToken } from '../one-time-tokens/one-time-token.entity.ts';
import { Passkey } from '../passkeys/passkey.entity.ts';
import { PasswordCredential } from '../passwords/password-credential.entity.ts';
import { PasswordHistory } from '../passwords/password-history.entity.ts';
import { SignInLock } from '../passwords/sign-in-lock.entity.ts';
import type { Keyring } from '../platform/crypto.ts';
import { RecoveryCode } from '../second-factors/recovery-code.entity.ts';
import { TotpCredential } from '../second-factors/totp-credential.entity.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';

/** What belongs to an account and goes with it. Sessions stay until their tokens have expired. */
const OWNED: readonly EntityName<{ account: string }>[] = [
  Identity,
  OneTimeToken,
  Passkey,
  PasswordCredential,
  PasswordHistory,
  RecoveryCode,
  SignInLock,
  TotpCredential,
];

/**
 * Erases an account that the transaction has locked (C13): its personal data, factors and tokens are
 * deleted, its sessions and API keys end, and its address becomes free. Audit events keep the account's
 * id, which no longer leads to anyone, but lose IP addresses and everything personal.
 *
 * Throws `LAST_ADMIN`.
 */
export async function eraseAccount(
  tx: Transaction,
  { keyring, apiKeyMemory }: { keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  account: Account,
): Promise<void> {
  await refuseLastAdmin(tx.em, account);
  const { id, email: to, displayName, locale, isVerified } = account;
  await endSessions(tx, id, 'account_deleted');
  await revokeKeys(tx, apiKeyMemory, { ownerId: id, cause: 'account_deleted' });
  tx.audit({ type: 'account.deleted', subject: id });
  // Whoever signs up with another's address can delete that account, again and again (C16).
  if (isVerified || (await mayMail(tx, keyring, 'notice', to))) {
    await tx.mail({ template: 'account_deleted', to, displayName, locale });
  }
  blank(account, tx.now);
  await tx.em.flush();
  for (const entity of OWNED) await tx.em.nativeDelete(entity, { account: id });
  const noDevice = { deviceLabel: '', userAgent: '', ipAddress: '' };
  await sessionsIn(tx.em).nativeUpdate({ account: id }, noDevice);
  const noUse = { displayName: '', allowedCidrs: [], lastUsedAddress: null };
  await apiKeysIn(tx.em).nativeUpdate({ account: id }, noUse);
  await scopeUsesIn(tx.em).eraseOf(id);
  await shadowDenialsIn(tx.em).eraseOf(id);
  await erasePersonalData(tx.em, id, tx.now);
}

function blank(account: Account, now: Date): void {
  account.state = 'deleted';
  account.email = '';
  account.canonicalEmail = '';
  account.displayName = '';
  account.locale = null;
  account.emailVerifiedAt = null;
  account.firstVerifiedAt = null;
  account.lastLoginAt = null;
  account.invitedAt = null;
  account.externalId = null;
  account.roles = [];
  account.updatedAt = now;
}
