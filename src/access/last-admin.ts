import type { Account } from '../accounts/account.entity.ts';
import { Failure } from '../platform/failure.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { ADMIN_ROLE } from './permissions.ts';

// Any constant will do, as long as every version of the program uses the same one.
const ADMIN_LOCK = 727_274_002;

/**
 * For a transaction that has locked an account and is about to delete, suspend or demote it. Of several
 * such transactions, each waits for the one before to end, so that one administrator stays (A05).
 *
 * Throws `LAST_ADMIN`.
 */
export async function refuseLastAdmin(em: EntityManager, account: Account): Promise<void> {
  if (!account.roles.includes(ADMIN_ROLE) || account.state !== 'active') return;
  await lockAdmins(em);
  if (await hasAdminBeside(em, account.id)) return;
  const message = 'it is the last administrator; make somebody else one first';
  throw new Failure('precondition', 'LAST_ADMIN', message);
}

/** Has whoever else counts administrators wait until the transaction ends. */
export async function lockAdmins(em: EntityManager): Promise<void> {
  await query(em, 'select pg_advisory_xact_lock($1)', [ADMIN_LOCK]);
}

/** Whether there is an active administrator, other than this account. */
export async function hasAdminBeside(em: EntityManager, accountId?: string): Promise<boolean> {
  const others = await query(
    em,
    `select 1 from accounts
     where roles @> $1::text[] and state = 'active' and id is distinct from $2 limit 1`,
    [[ADMIN_ROLE], accountId ?? null],
  );
  return others.length > 0;
}
