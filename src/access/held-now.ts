import { accountGone } from '../accounts/account.repository.ts';
import { apiKeysIn } from '../api-keys/api-key.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { rolesIn } from './role.repository.ts';

/**
 * Returns what a caller, and whoever acts for them, may do at this moment, read from the database: a token or this replica's memory
 * may be a second behind, and anything granted on its word would stay. Not meant for the operator, who
 * may do everything.
 *
 * Throws `TOKEN_REVOKED` if the caller's account is gone or suspended, or if the session or API key that
 * they call with has ended. Call it after waiting for locks: all this may happen meanwhile.
 */
export async function heldNow(em: EntityManager, caller: Caller): Promise<ReadonlySet<string>> {
  if (caller.sessionId !== '') await sessionsIn(em).requireLive(caller.sessionId);
  if (caller.apiKeyId !== '') await apiKeysIn(em).requireLive(caller.apiKeyId);
  let held = await heldBy(em, caller.subject, caller.permissions);
  // Who acts for the caller can do no more than both (A09).
  for (const { subject, apiKeyId } of caller.actors) {
    if (apiKeyId !== '') await apiKeysIn(em).requireLive(apiKeyId);
    held = await heldBy(em, subject, held);
  }
  return new Set(held);
}

/** Those of the permissions that an account or service account has by its roles now. */
async function heldBy(
  em: EntityManager,
  id: string,
  permissions: readonly string[],
): Promise<readonly string[]> {
  const [row] = await query<{ roles: string[] }>(
    em,
    `select roles from accounts where id = $1 and state = 'active'
     union all select roles from service_accounts where id = $1 and state = 'active'`,
    [id],
  );
  if (!row) throw accountGone();
  const allowed = new Set(await rolesIn(em).permissionsOf(row.roles));
  return permissions.filter((permission) => allowed.has(permission));
}

/** Throws `PERMISSION_DENIED` for the first of `wanted` that is not among `held` (A05). */
export function requireAll(held: ReadonlySet<string>, wanted: Iterable<string>): void {
  for (const permission of wanted) {
    if (held.has(permission)) continue;
    const message = `the permission ${permission} is needed: callers can only change what their own permissions cover`;
    throw new Failure('denied', 'PERMISSION_DENIED', message, { metadata: { permission } });
  }
}

/**
 * Refuses a caller who lacks any of `wanted` at this moment (A05). Throws `PERMISSION_DENIED` and what
 * `heldNow` throws.
 */
export async function requireNow(
  { em, caller }: Transaction,
  wanted: Iterable<string>,
): Promise<void> {
  if (caller.kind !== 'operator') requireAll(await heldNow(em, caller), wanted);
}

/**
 * Refuses a change to anyone who may do more than the caller (A08). Signed-in callers may change about
 * themselves whatever they may change about others; an API key is limited to its scopes even for its
 * owner. Throws `PERMISSION_DENIED`.
 */
export async function requireReach(
  { em, caller }: Transaction,
  permission: string,
  target: { id: string; roles: readonly string[] },
): Promise<void> {
  if (caller.kind === 'operator') return;
  const held = await heldNow(em, caller);
  requireAll(held, [permission]);
  const isSignedIn = caller.sessionId !== '' && caller.actors.length === 0;
  if (target.id === caller.subject && isSignedIn) return;
  requireAll(held, await rolesIn(em).permissionsOf(target.roles));
}
