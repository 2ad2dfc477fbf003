import { rolesIn } from './role.repository.ts';
import type { RoleDeps } from './role-view.ts';

/** Takes one of the deleted roles from some of those who have it. Says whether there is more to do. */
export async function forgetDeletedRoles(
  deps: Pick<RoleDeps, 'database' | 'clock'>,
): Promise<boolean> {
  return deps.database.transaction(async (em) => {
    const roles = rolesIn(em);
    await roles.lock();
    const role = await roles.findOne({ deletedAt: { $ne: null } });
    if (!role) return false;
    await roles.takeFromHolders(role.name, deps.clock.now());
    return true;
  });
}
