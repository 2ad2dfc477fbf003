import { accountGone } from '../accounts/account.repository.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { rolesIn } from './role.repository.ts';

/**
 * What an actor may do at this moment, by the database: a token or this replica's memory may be a
 * second behind, and what is granted by it would stay. Throws `TOKEN_REVOKED` where the actor is gone or
 * suspended.
 */
export async function heldNow(em: EntityManager, actor: Actor): Promise<ReadonlySet<string>> {
  const [row] = await query<{ roles: string[] }>(
    em,
    `select roles from accounts where id = $1 and state = 'active'
     union all select roles from service_accounts where id = $1 and state = 'active'`,
    [actor.id],
  );
  if (!row) throw accountGone();
  const allowed = new Set(await rolesIn(em).permissionsOf(row.roles));
  return new Set(actor.permissions.filter((permission) => allowed.has(permission)));
}

/**
 * Holds that an actor touches nobody who may do more than the actor. Throws `PERMISSION_DENIED`. Of
 * oneself, one may change what one may of others.
 */
export async function requireReach(
  em: EntityManager,
  actor: Actor,
  permission: string,
  target: { id: string; roles: readonly string[] },
): Promise<void> {
  const held = await heldNow(em, actor);
  requireAll(held, [permission]);
  if (target.id === actor.id) return;
  requireAll(held, await rolesIn(em).permissionsOf(target.roles));
}
