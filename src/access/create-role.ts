import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { requireNow } from './held-now.ts';
import { permissionsIn } from './permission.repository.ts';
import { rolesIn } from './role.repository.ts';
import type { RoleBook } from './role-book.ts';
import { nameTaken, type RoleView, requireExisting, roleView } from './role-view.ts';

const MAX_ROLES = 200;

export type NewRole = { name: string; description: string; permissions: readonly string[] };

/**
 * Adds a role. The caller must hold its permissions (A05).
 *
 * Throws `NAME_TAKEN`, `INVALID_REQUEST`, `PERMISSION_DENIED`, `TOO_MANY`.
 */
export async function createRole(
  { database, roles }: { database: Database; roles: RoleBook },
  caller: Caller,
  role: NewRole,
): Promise<RoleView> {
  const view = await database.transaction(caller, (tx) => add(tx, role));
  await roles.changed();
  return view;
}

async function add(tx: Transaction, { name, description, ...role }: NewRole): Promise<RoleView> {
  const roles = rolesIn(tx.em);
  await roles.lock();
  const permissions = [...new Set(role.permissions)].sort();
  const all = await permissionsIn(tx.em).names();
  requireExisting(all, permissions);
  await requireNow(tx, ['roles.write', ...permissions]);
  if (await roles.findOne({ name })) throw nameTaken('role');
  if ((await roles.count()) >= MAX_ROLES) {
    const message = `there are ${MAX_ROLES} roles already; delete one first`;
    throw new Failure('precondition', 'TOO_MANY', message);
  }
  const created = roles.create({
    name,
    description,
    permissions,
    builtIn: false,
    createdAt: tx.now,
    updatedAt: tx.now,
    deletedAt: null,
  });
  tx.audit({ type: 'role.created', details: { role: name, permissions } });
  await tx.em.flush();
  return roleView(created, all);
}
