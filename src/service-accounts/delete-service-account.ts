import type { Actor } from '../access/actor.ts';
import { requireReach } from '../access/held-now.ts';
import type { RoleDeps } from '../access/role-view.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { serviceAccountsIn } from './service-account.repository.ts';

/**
 * Deletes a service account that may do no more than the actor: what its keys were exchanged for is
 * refused within a second (S09), and the keys, whose owner is gone.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`.
 */
export async function deleteServiceAccount(
  deps: RoleDeps,
  caller: Caller,
  actor: Actor,
  id: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(async (em) => {
    const found = await serviceAccountsIn(em).lock(id);
    await requireReach(em, actor, 'service_accounts.write', found);
    const { roles } = found;
    found.state = 'deleted';
    found.roles = [];
    found.updatedAt = deps.clock.now();
    recordAudit(em, deps, caller, {
      type: 'service_account.deleted',
      actor: actor.id,
      subject: found.id,
      details: { roles },
    });
    await em.flush();
    return deps.revocations.revokeSubject(em, found.id, 'service_account_deleted');
  }, caller.signal);
  afterCommit();
}
