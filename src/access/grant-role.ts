import { LockMode } from '@mikro-orm/core';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { requireNow } from './held-now.ts';
import { rolesIn } from './role.repository.ts';
import { type HolderName, lockHolder } from './role-holder.ts';
import { noSuchRole } from './role-view.ts';

/** Tokens carry the names of all roles. */
const MAX_ROLES = 10;

/**
 * Grants a role to a user or a service account. The caller must hold its permissions (A05). Idempotent.
 * Returns the names of the holder's roles.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`, `TOO_MANY`.
 */
export function grantRole(
  { database }: { database: Database },
  caller: Caller,
  { holder: holderName, role: name }: { holder: HolderName; role: string },
): Promise<string[]> {
  return database.transaction(caller, async (tx) => {
    const roles = rolesIn(tx.em);
    // Locks the role first, as its deletion does. The role stays as it is until this has committed.
    const lockMode = LockMode.PESSIMISTIC_READ;
    if (!(await roles.findOne({ name, deletedAt: null }, { lockMode }))) throw noSuchRole();
    const holder = await lockHolder(tx.em, holderName);
    await requireNow(tx, ['roles.write', ...(await roles.permissionsOf([name]))]);
    const before = holder.roles;
    if (before.includes(name)) return before;
    if (before.length >= MAX_ROLES) throw tooMany();
    holder.roles = [...before, name];
    holder.updatedAt = tx.now;
    const details = { role: name, before, after: holder.roles };
    tx.audit({ type: 'role.granted', subject: holder.id, details });
    return holder.roles;
  });
}

function tooMany(): Failure {
  const message = `the holder has ${MAX_ROLES} roles, and nobody may have more; revoke one first`;
  return new Failure('precondition', 'TOO_MANY', message);
}
