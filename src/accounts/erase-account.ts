import { refuseLastAdmin } from '../access/last-admin.ts';
import { type RevokeKeysDeps, revokeKeys } from '../api-keys/revoke-keys.ts';
import { erasePersonalData } from '../audit/erase-personal-data.ts';
import { recordAudit } from '../audit/record.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Caller } from '../platform/caller.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';
import type { Account } from './account.entity.ts';

export type EraseAccountDeps = EndSessionsDeps &
  RevokeKeysDeps & { database: SqlDatabase; outbox: Outbox };

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

/**
 * Erases an account that the transaction has locked (C13): personal data, factors and tokens are gone,
 * sessions and API keys end, the address is free. Audit events keep the account's id, which leads to
 * nobody any more, and lose their addresses and what was personal in them. Gives what to do after the
 * commit.
 *
 * Throws `LAST_ADMIN`.
 */
export async function eraseAccount(
  em: EntityManager,
  deps: EraseAccountDeps,
  caller: Caller,
  account: Account,
  actor: string,
): Promise<() => void> {
  await refuseLastAdmin(em, account);
  const { id, email: to, displayName } = account;
  const cause = 'account_deleted';
  const endTokens = await endSessions(em, deps, caller, id, cause, { actor });
  const endKeys = await revokeKeys(em, deps, caller, { ownerId: id, actorId: actor, cause });
  recordAudit(em, deps, caller, { type: 'account.deleted', actor, subject: id });
  await deps.outbox.send(em, { template: 'account_deleted', to, displayName });
  forget(account, deps.clock.now());
  await em.flush();
  for (const table of OWNED) await query(em, `delete from ${table} where account_id = $1`, [id]);
  await query(
    em,
    `update sessions set device_label = '', user_agent = '', ip_address = '' where account_id = $1`,
    [id],
  );
  await query(
    em,
    `update api_keys set display_name = '', last_used_address = null where account_id = $1`,
    [id],
  );
  await erasePersonalData(em, id, deps.clock.now());
  return () => {
    endTokens();
    endKeys();
  };
}

function forget(account: Account, now: Date): void {
  account.state = 'deleted';
  account.email = '';
  account.canonicalEmail = '';
  account.displayName = '';
  account.emailVerifiedAt = null;
  account.lastLoginAt = null;
  account.invitedAt = null;
  account.externalId = null;
  account.roles = [];
  account.updatedAt = now;
}
