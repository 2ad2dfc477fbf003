import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Permission } from './permission.entity.ts';
import { permissionsIn } from './permission.repository.ts';
import { rolesIn } from './role.repository.ts';
import { type RoleView, roleView } from './role-view.ts';

/** Lists all roles, by name. */
export function listRoles(
  { database }: { database: Database },
  caller: Caller,
): Promise<RoleView[]> {
  return database.read(caller, async (em) => {
    const all = await permissionsIn(em).names();
    const roles = await rolesIn(em).find({ deletedAt: null }, { orderBy: { name: 'asc' } });
    return roles.map((role) => roleView(role, all));
  });
}

/** Lists all permissions, by name. */
export function listPermissions(
  { database }: { database: Database },
  caller: Caller,
): Promise<Permission[]> {
  return database.read(caller, (em) => permissionsIn(em).all());
}
