import type { Account } from '../accounts/account.entity.ts';
import { lockOwnAccount } from '../accounts/own-account.ts';
import { recordAudit } from '../audit/record.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Caller } from '../platform/caller.ts';
import { type Database, type EntityManager, query } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';

export type DeleteMeDeps = EndSessionsDeps & { database: Database; outbox: Outbox };

/** What belongs to an account and goes with it. Sessions stay until their tokens have expired. */
const OWNED = [
  'mailed_tokens',
  'passkeys',
  'password_credentials',
  'password_history',
  'recovery_codes',
  'sign_in_locks',
  'totp_credentials',
] as const;
// Any constant will do, as long as every version of the program uses the same one.
const ADMIN_LOCK = 727_274_002;

/**
 * Erases the caller's account (C13): personal data, factors and tokens are gone, sessions end, the
 * address is free. Audit events keep the account's id, which leads to nobody any more.
 *
 * Throws `LAST_ADMIN` for the last active administrator, however many go at once (A05).
 */
export async function deleteMe(
  deps: DeleteMeDeps,
  caller: Caller,
  accountId: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(
    (em) => erase(em, deps, caller, accountId),
    caller.signal,
  );
  afterCommit();
  deps.outbox.wake();
}

async function erase(
  em: EntityManager,
  deps: DeleteMeDeps,
  caller: Caller,
  accountId: string,
): Promise<() => void> {
  const account = await lockOwnAccount(em, accountId);
  if (account.roles.includes('admin')) await refuseLastAdmin(em, accountId);
  const { email: to, displayName } = account;
  const afterCommit = await endSessions(em, deps, caller, accountId, 'account_deleted');
  recordAudit(em, deps, caller, {
    type: 'account.deleted',
    actor: accountId,
    subject: accountId,
  });
  await deps.outbox.send(em, { template: 'account_deleted', to, displayName });
  forget(account, deps.clock.now());
  await em.flush();
  for (const table of OWNED)
    await query(em, `delete from ${table} where account_id = $1`, [accountId]);
  await query(
    em,
    `update sessions set device_label = '', user_agent = '', ip_address = '' where account_id = $1`,
    [accountId],
  );
  return afterCommit;
}

function forget(account: Account, now: Date): void {
  account.state = 'deleted';
  account.email = '';
  account.canonicalEmail = '';
  account.displayName = '';
  account.emailVerifiedAt = null;
  account.lastLoginAt = null;
  account.roles = [];
  account.updatedAt = now;
}

async function refuseLastAdmin(em: EntityManager, accountId: string): Promise<void> {
  await query(em, 'select pg_advisory_xact_lock($1)', [ADMIN_LOCK]);
  const others = await query(
    em,
    `select 1 from accounts where roles @> '{admin}' and state = 'active' and id <> $1 limit 1`,
    [accountId],
  );
  if (others.length > 0) return;
  const message = 'the last administrator can not be deleted';
  throw new Failure('precondition', 'LAST_ADMIN', message);
}
