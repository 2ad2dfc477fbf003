import { Account } from '../accounts/account.entity.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { requireNow } from './held-now.ts';
import { refuseLastAdmin } from './last-admin.ts';
import { ADMIN_ROLE } from './permissions.ts';
import { rolesIn } from './role.repository.ts';
import { type HolderName, lockHolder } from './role-holder.ts';

/**
 * Takes a role from a user or a service account. The tokens issued so far are revoked; sessions
 * continue, and the tokens they get by a refresh allow less (S09). Idempotent. Returns the names of the
 * roles that are left.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN`, `PERMISSION_DENIED`.
 */
export function revokeRole(
  { database }: { database: Database },
  caller: Caller,
  { holder: holderName, role: name }: { holder: HolderName; role: string },
): Promise<string[]> {
  return database.transaction(caller, async (tx) => {
    const holder = await lockHolder(tx.em, holderName);
    await requireNow(tx, ['roles.write', ...(await rolesIn(tx.em).permissionsOf([name]))]);
    const before = holder.roles;
    if (!before.includes(name)) {
      await tx.repeatRevocation([{ kind: 'subject', id: holder.id }]);
      return before;
    }
    if (name === ADMIN_ROLE && holder instanceof Account) await refuseLastAdmin(tx.em, holder);
    holder.roles = before.filter((each) => each !== name);
    holder.updatedAt = tx.now;
    const details = { role: name, before, after: holder.roles };
    tx.audit({ type: 'role.revoked', subject: holder.id, details });
    await tx.revokeSubject(holder.id, 'role_revoked');
    return holder.roles;
  });
}
