import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { Permission } from './permission.entity.ts';
import { MAX_SCOPE_LENGTH } from './permissions.ts';
import { rolesIn } from './role.repository.ts';
import { nameTaken, permissionNames, type RoleDeps } from './role-view.ts';

type NewPermission = { name: string; description: string };

/**
 * Adds a permission of a customer's own service, which the administrators' role gives at once.
 *
 * Throws `NAME_TAKEN`, `TOO_MANY`, `PERMISSION_DENIED`.
 */
export async function createPermission(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  request: NewPermission,
): Promise<Permission> {
  const permission = await deps.database.transaction(
    (em) => add(em, deps, caller, actor, request),
    caller.signal,
  );
  await deps.roles.changed();
  return permission;
}

async function add(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  { name, description }: NewPermission,
): Promise<Permission> {
  await rolesIn(em).lock();
  requireAll(await heldNow(em, actor), ['roles.write']);
  const all = await permissionNames(em);
  if (all.includes(name)) throw nameTaken('a permission');
  if ([...all, name].join(' ').length > MAX_SCOPE_LENGTH) {
    const message = `the names of all permissions together are longer than ${MAX_SCOPE_LENGTH} characters`;
    throw new Failure('precondition', 'TOO_MANY', message);
  }
  const createdAt = deps.clock.now();
  const permission = em.create(Permission, { name, description, builtIn: false, createdAt });
  recordAudit(em, deps, caller, {
    type: 'permission.created',
    actor: actor.id,
    details: { permission: name },
  });
  await em.persist(permission).flush();
  return permission;
}
