import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import type { NewRole } from './create-role.ts';
import { heldNow } from './held-now.ts';
import { rolesIn } from './role.repository.ts';
import {
  lockCustomRole,
  permissionNames,
  type RoleDeps,
  type RoleView,
  requireExisting,
  roleView,
} from './role-view.ts';

export type UpdateRole = NewRole & {
  /** Empty: no matter which version of the role is changed. */
  etag: string;
  /** Field names (AIP-134). Empty: those that are not empty. */
  mask: readonly string[];
};

const EDITABLE: ReadonlySet<string> = new Set(['description', 'permissions', '*']);

type Changed = { view: RoleView; afterCommit?: () => void };

/**
 * Changes a role. What it takes away is refused within a second, by us and by whoever hears of
 * revocations (S09). The actor holds all that the role gave and will give (A05).
 *
 * Throws `NOT_FOUND`, `BUILT_IN`, `INVALID_REQUEST`, `ETAG_MISMATCH`, `PERMISSION_DENIED`.
 */
export async function updateRole(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  request: UpdateRole,
): Promise<RoleView> {
  const wrong = request.mask.filter((name) => !EDITABLE.has(name));
  if (wrong.length > 0) throw notEditable(wrong);
  const { view, afterCommit } = await deps.database.transaction(
    (em) => change(em, deps, caller, actor, request),
    caller.signal,
  );
  await deps.roles.changed();
  afterCommit?.();
  return view;
}

async function change(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  request: UpdateRole,
): Promise<Changed> {
  await rolesIn(em).lock();
  const role = await lockCustomRole(em, request.name);
  const all = await permissionNames(em);
  if (request.etag !== '' && request.etag !== roleView(role, all).etag) throw etagMismatch();
  const before = { description: role.description, permissions: [...role.permissions] };
  const after = valuesAfter(before, request);
  requireExisting(all, after.permissions);
  requireAll(await heldNow(em, actor), [
    'roles.write',
    ...before.permissions,
    ...after.permissions,
  ]);
  if (JSON.stringify(before) === JSON.stringify(after)) return { view: roleView(role, all) };
  Object.assign(role, after, { updatedAt: deps.clock.now() });
  recordAudit(em, deps, caller, {
    type: 'role.updated',
    actor: actor.id,
    details: { role: role.name, before, after },
  });
  await em.flush();
  const view = roleView(role, all);
  if (before.permissions.every((name) => after.permissions.includes(name))) return { view };
  const afterCommit = await deps.revocations.revokeHolders(em, role.name, 'role_changed');
  return { view, afterCommit };
}

type Values = { description: string; permissions: string[] };

function valuesAfter(before: Values, { mask, description, permissions }: UpdateRole): Values {
  const isNamed = (field: keyof Values, isEmpty: boolean) =>
    mask.length === 0 ? !isEmpty : mask.includes(field) || mask.includes('*');
  return {
    description: isNamed('description', description === '') ? description : before.description,
    permissions: isNamed('permissions', permissions.length === 0)
      ? [...new Set(permissions)].sort()
      : before.permissions,
  };
}

function notEditable(names: readonly string[]): Failure {
  const description = `names fields that can't be changed here: ${names.join(', ')}`;
  return new Failure('invalid', 'INVALID_REQUEST', `the update mask ${description}`, {
    fields: [{ path: 'update_mask', description }],
  });
}

function etagMismatch(): Failure {
  return new Failure('aborted', 'ETAG_MISMATCH', 'the role has changed since it was read');
}
