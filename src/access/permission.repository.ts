import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Permission } from './permission.entity.ts';

/** The statements on permissions. */
export class PermissionRepository extends Repository<Permission> {
  /** All permissions, by name. */
  all(): Promise<Permission[]> {
    return this.findAll({ orderBy: { name: 'asc' } });
  }

  /** The names of all permissions, sorted. */
  async names(): Promise<string[]> {
    return (await this.all()).map(({ name }) => name);
  }
}

/** The permissions that a connection or a transaction sees. */
export function permissionsIn(em: EntityManager): PermissionRepository {
  return new PermissionRepository(em, Permission);
}
