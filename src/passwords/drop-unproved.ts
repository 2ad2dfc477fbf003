import { isLastAdmin } from '../access/last-admin.ts';
import { ADMIN_ROLE, USER_ROLE } from '../access/permissions.ts';
import type { Account } from '../accounts/account.entity.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { revokeKeys } from '../api-keys/revoke-keys.ts';
import { identitiesIn } from '../federation/identity.repository.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { passkeysIn } from '../passkeys/passkey.repository.ts';
import { recoveryCodesIn } from '../second-factors/recovery-code.repository.ts';
import { totpCredentialsIn } from '../second-factors/totp-credential.repository.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { passwordsIn } from './password-credential.repository.ts';
import { passwordHistoryIn } from './password-history.repository.ts';
import { signInLocksIn } from './sign-in-lock.repository.ts';

/** What was there before and is known to be the owner's. */
type Kept = { password?: boolean; session?: string | undefined };

/**
 * Takes away everything that an account held while nobody had proved its address, in the transaction of
 * the first proof: anyone may have put it there (C15). The account is locked. Returns what ways to sign
 * in it took away, for the audit event.
 *
 * Roles stay if an administrator created the account: they were meant for the person who has the
 * address.
 */
export async function dropUnproved(
  tx: Transaction,
  apiKeyMemory: ApiKeyMemory,
  account: Account,
  kept: Kept = {},
): Promise<string[]> {
  const { em, now } = tx;
  const { id } = account;
  const cause = 'address_proved';
  await oneTimeTokensIn(em).voidAll(id, now);
  await signInLocksIn(em).nativeDelete({ account: id });
  await revokeKeys(tx, apiKeyMemory, { ownerId: id, actor: id, cause });
  await endSessions(tx, id, cause, { except: kept.session, actor: id });
  await sessionsIn(em).disown(id, cause, kept.session);
  if (!account.invitedAt) await dropRoles(tx, account);
  const dropped = {
    password: kept.password ? 0 : await dropPasswords(tx, id),
    totp: await totpCredentialsIn(em).nativeDelete({ account: id }),
    recovery_codes: await recoveryCodesIn(em).nativeDelete({ account: id }),
    passkey: await passkeysIn(em).nativeDelete({ account: id }),
    identity: await identitiesIn(em).nativeDelete({ account: id }),
  };
  return Object.entries(dropped).flatMap(([name, count]) => (count > 0 ? [name] : []));
}

async function dropPasswords({ em }: Transaction, account: string): Promise<number> {
  await passwordHistoryIn(em).nativeDelete({ account });
  return passwordsIn(em).nativeDelete({ account });
}

/** Takes all roles that were granted, except from the last administrator (A05). */
async function dropRoles(tx: Transaction, account: Account): Promise<void> {
  const { id, roles: before } = account;
  const isNeeded = await isLastAdmin(tx.em, account);
  const isKept = (role: string) => role === USER_ROLE || (role === ADMIN_ROLE && isNeeded);
  const after = before.filter(isKept);
  if (after.length === before.length) return;
  account.roles = after;
  account.updatedAt = tx.now;
  for (const role of before.filter((each) => !isKept(each))) {
    tx.audit({ type: 'role.revoked', actor: id, subject: id, details: { role, before, after } });
  }
  await tx.revokeSubject(id, 'role_revoked');
}
