import { addMs, type Clock } from '../platform/clock.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { rolesIn } from './role.repository.ts';

/** Takes one of the deleted roles from some of its holders. Returns whether there is more to do. */
export function forgetDeletedRoles({
  database,
  clock,
  revocations,
}: {
  database: SqlDatabase;
  clock: Clock;
  revocations: { keptMs: number };
}): Promise<boolean> {
  return database.transaction(async (em) => {
    const roles = rolesIn(em);
    await roles.lock();
    const role = await roles.findOne({ deletedAt: { $ne: null } });
    if (!role) return false;
    const now = clock.now();
    await roles.takeFromHolders(role.name, now, addMs(now, revocations.keptMs));
    return true;
  });
}
