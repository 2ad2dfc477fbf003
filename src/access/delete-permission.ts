import { apiKeysIn } from '../api-keys/api-key.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { requireNow } from './held-now.ts';
import { permissionsIn } from './permission.repository.ts';
import { rolesIn } from './role.repository.ts';
import type { RoleBook } from './role-book.ts';
import { builtIn } from './role-view.ts';

/**
 * Deletes a permission that the caller holds (A08) and that no role other than `admin` includes, and
 * removes it from the scopes of API keys, so that a new permission of the same name gives them nothing.
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `IN_USE`, `PERMISSION_DENIED`.
 */
export async function deletePermission(
  { database, roles }: { database: Database; roles: RoleBook },
  caller: Caller,
  name: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    await rolesIn(tx.em).lock();
    await requireNow(tx, ['roles.write']);
    const permission = await permissionsIn(tx.em).findOne({ name });
    if (!permission) throw new Failure('not_found', 'NOT_FOUND', 'there is no such permission');
    if (permission.builtIn) throw builtIn(`the permission ${name}`);
    await requireNow(tx, [name]);
    const isIn = { permissions: { $contains: [name] }, deletedAt: null };
    const role = await rolesIn(tx.em).findOne(isIn);
    if (role) throw inUse(name, role.name);
    tx.em.remove(permission);
    await tx.em.flush();
    // After whoever was giving it to a key has committed.
    const keys = await apiKeysIn(tx.em).dropScope(name);
    tx.audit({ type: 'permission.deleted', details: { permission: name, api_keys: keys } });
  });
  await roles.changed();
}

function inUse(permission: string, role: string): Failure {
  const message = `the role ${role} includes the permission ${permission}; remove it from the role first`;
  return new Failure('precondition', 'IN_USE', message, { metadata: { role } });
}
