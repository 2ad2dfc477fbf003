import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { Permission } from './permission.entity.ts';
import { Role } from './role.entity.ts';
import { permissionNames, type RoleView, roleView } from './role-view.ts';

/** All roles, by name. */
export function listRoles(
  { database }: { database: SqlDatabase },
  caller: Caller,
): Promise<RoleView[]> {
  return database.read(async (em) => {
    const all = await permissionNames(em);
    const roles = await em.find(Role, { deletedAt: null }, { orderBy: { name: 'asc' } });
    return roles.map((role) => roleView(role, all));
  }, caller.signal);
}

/** All permissions, by name. */
export function listPermissions(
  { database }: { database: SqlDatabase },
  caller: Caller,
): Promise<Permission[]> {
  return database.read((em) => em.findAll(Permission, { orderBy: { name: 'asc' } }), caller.signal);
}
