import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { rolesIn } from './role.repository.ts';
import {
  nameTaken,
  permissionNames,
  type RoleDeps,
  type RoleView,
  requireExisting,
  roleView,
} from './role-view.ts';

const MAX_ROLES = 200;

export type NewRole = { name: string; description: string; permissions: readonly string[] };

/**
 * Adds a role, of permissions that the actor holds (A05).
 *
 * Throws `NAME_TAKEN`, `INVALID_REQUEST`, `PERMISSION_DENIED`, `TOO_MANY`.
 */
export async function createRole(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  request: NewRole,
): Promise<RoleView> {
  const view = await deps.database.transaction(
    (em) => add(em, deps, caller, actor, request),
    caller.signal,
  );
  await deps.roles.changed();
  return view;
}

async function add(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  { name, description, permissions: wanted }: NewRole,
): Promise<RoleView> {
  const roles = rolesIn(em);
  await roles.lock();
  const permissions = [...new Set(wanted)].sort();
  const all = await permissionNames(em);
  requireExisting(all, permissions);
  requireAll(await heldNow(em, actor), ['roles.write', ...permissions]);
  if (await roles.findOne({ name })) throw nameTaken('a role');
  if ((await roles.count()) >= MAX_ROLES) {
    throw new Failure('precondition', 'TOO_MANY', `there are ${MAX_ROLES} roles already`);
  }
  const now = deps.clock.now();
  const role = roles.create({
    name,
    description,
    permissions,
    builtIn: false,
    createdAt: now,
    updatedAt: now,
    deletedAt: null,
  });
  recordAudit(em, deps, caller, {
    type: 'role.created',
    actor: actor.id,
    details: { role: name, permissions },
  });
  await em.flush();
  return roleView(role, all);
}
