import { Account } from '../accounts/account.entity.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type Actor, requireAll } from './actor.ts';
import { heldNow } from './held-now.ts';
import { refuseLastAdmin } from './last-admin.ts';
import { ADMIN_ROLE } from './permissions.ts';
import { rolesIn } from './role.repository.ts';
import { type HolderName, lockHolder } from './role-holder.ts';
import type { RoleDeps } from './role-view.ts';

type Revoked = { roles: string[]; afterCommit?: () => void };

/**
 * Takes a role from a user or a service account: the tokens issued so far are revoked, sessions go on,
 * and what they are refreshed to gives less (S09). Idempotent. Gives the names of the roles left.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN`, `PERMISSION_DENIED`.
 */
export async function revokeRole(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  holder: HolderName,
  name: string,
): Promise<string[]> {
  const { roles, afterCommit } = await deps.database.transaction(
    (em) => revoke(em, deps, caller, actor, holder, name),
    caller.signal,
  );
  afterCommit?.();
  return roles;
}

async function revoke(
  em: EntityManager,
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  holderName: HolderName,
  name: string,
): Promise<Revoked> {
  const holder = await lockHolder(em, holderName);
  const given = await rolesIn(em).permissionsOf([name]);
  requireAll(await heldNow(em, actor), ['roles.write', ...given]);
  const before = holder.roles;
  if (!before.includes(name)) return { roles: before };
  if (name === ADMIN_ROLE && holder instanceof Account) await refuseLastAdmin(em, holder);
  holder.roles = before.filter((each) => each !== name);
  holder.updatedAt = deps.clock.now();
  recordAudit(em, deps, caller, {
    type: 'role.revoked',
    actor: actor.id,
    subject: holder.id,
    details: { role: name, before, after: holder.roles },
  });
  await em.flush();
  const afterCommit = await deps.revocations.revokeSubject(em, holder.id, 'role_revoked');
  return { roles: holder.roles, afterCommit };
}
