import { hasAdminBeside, lockAdmins } from '../access/last-admin.ts';
import { ADMIN_ROLE, USER_ROLE } from '../access/permissions.ts';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail, checkEmail } from '../accounts/email.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { invite, mailInvitation } from './invite.ts';

export type CreateAdminDeps = NoticeDeps & { database: SqlDatabase };

/** What was done: an account made, one given the role, or nothing, since it had it. */
export type AdminCreated = { userId: string; outcome: 'invited' | 'promoted' | 'unchanged' };

/**
 * Makes whoever has an address an administrator, for the operator of the service: a new account is mailed
 * an invitation (C08), and one whose owner has proved the address gets the role.
 *
 * Throws `EMAIL_NOT_VERIFIED` for one that somebody uses without having proved it, and
 * `ACCOUNT_SUSPENDED`.
 */
export async function createAdmin(
  deps: CreateAdminDeps,
  caller: Caller,
  email: string,
): Promise<AdminCreated> {
  checkEmail(email, 'email');
  const created = await deps.database.transaction((em) => make(em, deps, caller, email));
  deps.outbox.wake();
  return created;
}

/**
 * The same where there is no active administrator, and nothing where there is one. Of several replicas
 * that start at once, one does it.
 */
export async function bootstrapAdmin(
  deps: CreateAdminDeps,
  caller: Caller,
  email: string,
): Promise<AdminCreated | undefined> {
  const created = await deps.database.transaction(async (em) => {
    // First the account, as whoever is about to remove an administrator does.
    await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(email) });
    await lockAdmins(em);
    if (await hasAdminBeside(em)) return undefined;
    return make(em, deps, caller, email);
  });
  deps.outbox.wake();
  return created;
}

async function make(
  em: EntityManager,
  deps: CreateAdminDeps,
  caller: Caller,
  email: string,
): Promise<AdminCreated> {
  const account = await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isUnclaimed) {
    const invitation = { email, displayName: '', roles: [USER_ROLE, ADMIN_ROLE] };
    return { userId: await invite(em, deps, caller, invitation), outcome: 'invited' };
  }
  requireTrusted(account);
  if (!account.isVerified) await mailInvitation(em, deps, account);
  if (account.roles.includes(ADMIN_ROLE)) return { userId: account.id, outcome: 'unchanged' };
  const before = account.roles;
  account.roles = [...before, ADMIN_ROLE];
  account.updatedAt = deps.clock.now();
  recordAudit(em, deps, caller, {
    type: 'role.granted',
    subject: account.id,
    details: { role: ADMIN_ROLE, before, after: account.roles },
  });
  return { userId: account.id, outcome: 'promoted' };
}

/** An account that somebody uses is not known to be the person's whose address it bears. */
function requireTrusted(account: Account): void {
  if (account.state === 'suspended') {
    const message = 'the account with this address is suspended';
    throw new Failure('precondition', 'ACCOUNT_SUSPENDED', message);
  }
  if (account.isVerified || (account.invitedAt && !account.lastLoginAt)) return;
  const message = 'the owner of the account with this address has not verified it';
  throw new Failure('precondition', 'EMAIL_NOT_VERIFIED', message);
}
