import type { Caller } from '../platform/caller.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { NewRole } from './create-role.ts';
import { requireNow } from './held-now.ts';
import { permissionsIn } from './permission.repository.ts';
import { rolesIn } from './role.repository.ts';
import type { RoleBook } from './role-book.ts';
import { lockCustomRole, type RoleView, requireExisting, roleView } from './role-view.ts';

export type UpdateRole = NewRole & {
  /** The version of the role to change; empty: any. */
  etag: string;
  /** Field names (AIP-134). Empty: those that are not empty. */
  mask: readonly string[];
};

type Values = { description: string; permissions: string[] };

const EDITABLE = ['description', 'permissions'] as const;

/**
 * Changes a role. What it no longer grants is refused within a second, by this service and by everyone
 * who watches revocations (S09). The caller must hold all that the role granted and will grant (A05).
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `INVALID_REQUEST`, `ETAG_MISMATCH`, `PERMISSION_DENIED`.
 */
export async function updateRole(
  { database, roles }: { database: Database; roles: RoleBook },
  caller: Caller,
  request: UpdateRole,
): Promise<RoleView> {
  const { name, description, permissions, etag, mask } = request;
  const fields = fieldsToUpdate(mask, EDITABLE, (field) => request[field].length > 0);
  const changes: Partial<Values> = {
    ...(fields.includes('description') && { description }),
    ...(fields.includes('permissions') && { permissions: [...new Set(permissions)].sort() }),
  };
  const view = await database.transaction(caller, (tx) => change(tx, name, etag, changes));
  await roles.changed();
  return view;
}

async function change(
  tx: Transaction,
  name: string,
  etag: string,
  changes: Partial<Values>,
): Promise<RoleView> {
  await rolesIn(tx.em).lock();
  const role = await lockCustomRole(tx.em, name);
  const all = await permissionsIn(tx.em).names();
  requireEtag(etag, roleView(role, all).etag);
  const before: Values = { description: role.description, permissions: [...role.permissions] };
  const after = { ...before, ...changes };
  requireExisting(all, after.permissions);
  await requireNow(tx, ['roles.write', ...before.permissions, ...after.permissions]);
  if (JSON.stringify(before) === JSON.stringify(after)) return roleView(role, all);
  Object.assign(role, after, { updatedAt: tx.now });
  tx.audit({ type: 'role.updated', details: { role: name, before, after } });
  const isLess = !before.permissions.every((each) => after.permissions.includes(each));
  if (isLess) await tx.revokeHolders(name, 'role_changed');
  return roleView(role, all);
}
