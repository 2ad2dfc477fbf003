import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { rolesIn } from './role.repository.ts';
import { lockCustomRole, type RoleDeps } from './role-view.ts';

/**
 * Deletes a role: from now on it gives nothing (S09). Its name is taken from those who have it: from so
 * many at once, and from the rest by `forgetDeletedRoles`; until then nobody can use it again.
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `PERMISSION_DENIED`.
 */
export async function deleteRole(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  name: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(
    (em) => remove(em, deps, caller, actor, name),
    caller.signal,
  );
  await deps.roles.changed();
  afterCommit();
}

async function remove(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  name: string,
): Promise<() => void> {
  await rolesIn(em).lock();
  const role = await lockCustomRole(em, name);
  const { permissions } = role;
  requireAll(await heldNow(em, actor), ['roles.write', ...permissions]);
  role.deletedAt = deps.clock.now();
  recordAudit(em, deps, caller, {
    type: 'role.deleted',
    actor: actor.id,
    details: { role: name, permissions },
  });
  await em.flush();
  const afterCommit = await deps.revocations.revokeHolders(em, name, 'role_changed');
  await rolesIn(em).takeFromHolders(name, deps.clock.now());
  return afterCommit;
}
