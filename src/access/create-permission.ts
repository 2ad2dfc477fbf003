import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { requireNow } from './held-now.ts';
import type { Permission } from './permission.entity.ts';
import { permissionsIn } from './permission.repository.ts';
import { MAX_SCOPE_LENGTH } from './permissions.ts';
import { rolesIn } from './role.repository.ts';
import type { RoleBook } from './role-book.ts';
import { nameTaken } from './role-view.ts';

/**
 * Adds a permission for a customer's own service. The administrators' role includes it at once.
 *
 * Throws `NAME_TAKEN`, `TOO_MANY`, `PERMISSION_DENIED`.
 */
export async function createPermission(
  { database, roles }: { database: Database; roles: RoleBook },
  caller: Caller,
  { name, description }: { name: string; description: string },
): Promise<Permission> {
  const permission = await database.transaction(caller, async (tx) => {
    await rolesIn(tx.em).lock();
    await requireNow(tx, ['roles.write']);
    const permissions = permissionsIn(tx.em);
    const all = await permissions.names();
    if (all.includes(name)) throw nameTaken('permission');
    if ([...all, name].join(' ').length > MAX_SCOPE_LENGTH) throw tooMany();
    const created = permissions.create({ name, description, builtIn: false, createdAt: tx.now });
    tx.audit({ type: 'permission.created', details: { permission: name } });
    await tx.em.persist(created).flush();
    return created;
  });
  await roles.changed();
  return permission;
}

function tooMany(): Failure {
  const message = `the names of all permissions together would be longer than ${MAX_SCOPE_LENGTH} characters; delete one first, or choose a shorter name`;
  return new Failure('precondition', 'TOO_MANY', message);
}
