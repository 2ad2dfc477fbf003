import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { Permission } from './permission.entity.ts';
import { Role } from './role.entity.ts';
import { rolesIn } from './role.repository.ts';
import { builtIn, type RoleDeps } from './role-view.ts';

/**
 * Deletes a permission that no role gives, but the administrators'.
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `IN_USE`, `PERMISSION_DENIED`.
 */
export async function deletePermission(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  name: string,
): Promise<void> {
  await deps.database.transaction((em) => remove(em, deps, caller, actor, name), caller.signal);
  await deps.roles.changed();
}

async function remove(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  name: string,
): Promise<void> {
  await rolesIn(em).lock();
  requireAll(await heldNow(em, actor), ['roles.write']);
  const permission = await em.findOne(Permission, { name });
  if (!permission) throw new Failure('not_found', 'NOT_FOUND', 'there is no such permission');
  if (permission.builtIn) throw builtIn(`the permission ${name}`);
  const user = await em.findOne(Role, { permissions: { $contains: [name] }, deletedAt: null });
  if (user) {
    const message = `the role ${user.name} gives the permission ${name}`;
    throw new Failure('precondition', 'IN_USE', message, { metadata: { role: user.name } });
  }
  recordAudit(em, deps, caller, {
    type: 'permission.deleted',
    actor: actor.id,
    details: { permission: name },
  });
  await em.remove(permission).flush();
}
