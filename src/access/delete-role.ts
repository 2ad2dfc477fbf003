import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { requireNow } from './held-now.ts';
import { rolesIn } from './role.repository.ts';
import type { RoleBook } from './role-book.ts';
import { lockCustomRole } from './role-view.ts';

/**
 * Deletes a role, which grants nothing from then on (S09). Some of its holders lose its name at once,
 * and `forgetDeletedRoles` takes it from the rest; until then the name can't be used again.
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `PERMISSION_DENIED`.
 */
export async function deleteRole(
  { database, roles }: { database: Database; roles: RoleBook },
  caller: Caller,
  name: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    await rolesIn(tx.em).lock();
    const role = await lockCustomRole(tx.em, name);
    const { permissions } = role;
    await requireNow(tx, ['roles.write', ...permissions]);
    role.deletedAt = tx.now;
    tx.audit({ type: 'role.deleted', details: { role: name, permissions } });
    // Before the statements below, the first of which may delete the role's row.
    await tx.em.flush();
    await rolesIn(tx.em).takeFromHolders(name, tx.now, tx.revokedUntil);
    // For the holders that still have it.
    await tx.revokeHolders(name, 'role_changed');
  });
  await roles.changed();
}
