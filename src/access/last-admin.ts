import type { Account } from '../accounts/account.entity.ts';
import { Failure } from '../platform/failure.ts';
import { lock } from '../platform/locks.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { ADMIN_ROLE } from './permissions.ts';

/**
 * Refuses to delete, suspend or demote the last active administrator (A05), in a transaction that has
 * locked the account. Such transactions run one after the other, so that one administrator remains.
 *
 * Throws `LAST_ADMIN`.
 */
export async function refuseLastAdmin(em: EntityManager, account: Account): Promise<void> {
  if (!(await isLastAdmin(em, account))) return;
  const message = 'this is the last active administrator; make someone else one first';
  throw new Failure('precondition', 'LAST_ADMIN', message);
}

/** Whether an account that the transaction has locked is the last active administrator. */
export async function isLastAdmin(em: EntityManager, account: Account): Promise<boolean> {
  if (!account.roles.includes(ADMIN_ROLE) || account.state !== 'active') return false;
  await lockAdmins(em);
  return !(await hasAdminBeside(em, account.id));
}

/** Makes everyone else who counts administrators wait until the transaction ends. */
export async function lockAdmins(em: EntityManager): Promise<void> {
  await lock(em, 'administrators');
}

/** Whether there is an active administrator other than this account. */
export async function hasAdminBeside(em: EntityManager, accountId?: string): Promise<boolean> {
  const others = await query(
    em,
    `select 1 from accounts
     where roles @> $1::text[] and state = 'active' and id is distinct from $2 limit 1`,
    [[ADMIN_ROLE], accountId ?? null],
  );
  return others.length > 0;
}
