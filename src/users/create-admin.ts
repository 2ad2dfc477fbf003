import { hasAdminBeside, lockAdmins } from '../access/last-admin.ts';
import { ADMIN_ROLE, USER_ROLE } from '../access/permissions.ts';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { checkEmail } from '../accounts/check-email.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { invite, mailInvitation } from './invite.ts';

/** Whether an account was created, an existing one got the role, or it had the role already. */
export type AdminCreated = { userId: string; outcome: 'invited' | 'promoted' | 'unchanged' };

/**
 * Makes the owner of an address an administrator, for the operator of the service. A new account is
 * mailed an invitation (C08); an account whose owner has proved the address gets the role.
 *
 * Throws `EMAIL_NOT_VERIFIED` if someone uses the account without having proved the address, and
 * `ACCOUNT_SUSPENDED`.
 */
export async function createAdmin(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  email: string,
): Promise<AdminCreated> {
  checkEmail(email, 'email');
  return database.transaction(caller, (tx) => makeAdmin(tx, keyring, email));
}

/**
 * Does the same if there is no active administrator, and nothing otherwise. Of several replicas that
 * start at once, one does it.
 */
export function bootstrapAdmin(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  email: string,
): Promise<AdminCreated | undefined> {
  return database.transaction(caller, async (tx) => {
    // Locks the account first, as the removal of an administrator does.
    await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
    await lockAdmins(tx.em);
    return (await hasAdminBeside(tx.em)) ? undefined : makeAdmin(tx, keyring, email);
  });
}

async function makeAdmin(tx: Transaction, keyring: Keyring, email: string): Promise<AdminCreated> {
  const account = await accountsIn(tx.em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isDisposable) {
    const invitation = { email, displayName: '', roles: [USER_ROLE, ADMIN_ROLE] };
    return { userId: await invite(tx, keyring, invitation), outcome: 'invited' };
  }
  requireTrusted(account);
  if (!account.isVerified) await mailInvitation(tx, keyring, account);
  if (account.roles.includes(ADMIN_ROLE)) return { userId: account.id, outcome: 'unchanged' };
  const before = account.roles;
  account.roles = [...before, ADMIN_ROLE];
  account.updatedAt = tx.now;
  const details = { role: ADMIN_ROLE, before, after: account.roles };
  tx.audit({ type: 'role.granted', subject: account.id, details });
  return { userId: account.id, outcome: 'promoted' };
}

/** Refuses an account in use whose address nobody has proved: it may be someone else's. */
function requireTrusted(account: Account): void {
  if (account.state === 'suspended') {
    const message = 'the account with this address is suspended';
    throw new Failure('precondition', 'ACCOUNT_SUSPENDED', message);
  }
  if (account.isVerified || (account.invitedAt && !account.lastLoginAt)) return;
  const message = 'the owner of the account with this address has not verified it';
  throw new Failure('precondition', 'EMAIL_NOT_VERIFIED', message);
}
