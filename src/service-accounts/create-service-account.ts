import { v7 as uuidv7 } from 'uuid';
import { type Actor, requireAll } from '../access/actor.ts';
import { heldNow } from '../access/held-now.ts';
import type { RoleDeps } from '../access/role-view.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { ServiceAccount } from './service-account.entity.ts';

type NewServiceAccount = { displayName: string; description: string };

/** Creates a service account, which has no role yet. */
export function createServiceAccount(
  deps: Pick<RoleDeps, 'database' | 'clock'>,
  caller: Caller,
  actor: Actor,
  { displayName, description }: NewServiceAccount,
): Promise<ServiceAccount> {
  return deps.database.transaction(async (em) => {
    requireAll(await heldNow(em, actor), ['service_accounts.write']);
    const now = deps.clock.now();
    const created = em.create(ServiceAccount, {
      id: uuidv7(),
      displayName,
      description,
      roles: [],
      state: 'active',
      createdAt: now,
      updatedAt: now,
    });
    recordAudit(em, deps, caller, {
      type: 'service_account.created',
      actor: actor.id,
      subject: created.id,
    });
    await em.persist(created).flush();
    return created;
  }, caller.signal);
}
