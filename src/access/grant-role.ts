import { LockMode } from '@mikro-orm/core';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { Role } from './role.entity.ts';
import { rolesIn } from './role.repository.ts';
import { type HolderName, lockHolder } from './role-holder.ts';
import { noSuchRole, type RoleDeps } from './role-view.ts';

/** Tokens carry the names of all roles. */
const MAX_ROLES = 10;

/**
 * Gives a user or a service account a role whose permissions the actor holds all (A05). Idempotent.
 * Gives the names of the holder's roles.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`, `TOO_MANY`.
 */
export function grantRole(
  deps: Pick<RoleDeps, 'database' | 'clock'>,
  caller: Caller,
  actor: Actor,
  holder: HolderName,
  name: string,
): Promise<string[]> {
  return deps.database.transaction(
    (em) => grant(em, deps, caller, actor, holder, name),
    caller.signal,
  );
}

async function grant(
  em: EntityManager,
  deps: Pick<RoleDeps, 'clock'>,
  caller: Caller,
  actor: Actor,
  holderName: HolderName,
  name: string,
): Promise<string[]> {
  // First the role, as who deletes it does. It stays as it is until this has committed.
  const lockMode = LockMode.PESSIMISTIC_READ;
  const role = await em.findOne(Role, { name, deletedAt: null }, { lockMode });
  if (!role) throw noSuchRole();
  const given = await rolesIn(em).permissionsOf([name]);
  requireAll(await heldNow(em, actor), ['roles.write', ...given]);
  const holder = await lockHolder(em, holderName);
  const before = holder.roles;
  if (before.includes(name)) return before;
  if (before.length >= MAX_ROLES) {
    throw new Failure('precondition', 'TOO_MANY', `nobody has more than ${MAX_ROLES} roles`);
  }
  holder.roles = [...before, name];
  holder.updatedAt = deps.clock.now();
  recordAudit(em, deps, caller, {
    type: 'role.granted',
    actor: actor.id,
    subject: holder.id,
    details: { role: name, before, after: holder.roles },
  });
  await em.flush();
  return holder.roles;
}
