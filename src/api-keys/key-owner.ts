import { heldNow } from '../access/held-now.ts';
import { rolesIn } from '../access/role.repository.ts';
import { accountGone, accountsIn } from '../accounts/account.repository.ts';
import { type Caller, holds } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import {
  noSuchServiceAccount,
  serviceAccountsIn,
} from '../service-accounts/service-account.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { ApiKey } from './api-key.entity.ts';
import { apiKeysIn, type KeyOwner } from './api-key.repository.ts';
import { noSuchKey } from './api-key-view.ts';
import type { ScopeBounds } from './key-settings.ts';

const PERMISSION = 'api_keys.write';

/** The owner of keys that are changed, locked until the transaction ends. */
export type LockedOwner = KeyOwner & { bounds: ScopeBounds };

/** The keys that a change can reach: only revoking reaches those of other users. */
type Reach = 'managed' | 'any';

/**
 * Locks the owner of a new key: the caller, or with `api_keys.write` a service account.
 *
 * Throws `PERMISSION_DENIED`, `NOT_FOUND` for the service account.
 */
export async function lockNewOwner(
  tx: Transaction,
  forWhom: KeyOwner = { type: 'user', id: tx.caller.subject },
): Promise<LockedOwner> {
  if (!mayReach(tx.caller, forWhom, 'managed')) {
    const message = `the permission ${PERMISSION} is needed for the keys of others`;
    throw new Failure('denied', 'PERMISSION_DENIED', message, {
      metadata: { permission: PERMISSION },
    });
  }
  const owner = await lockOwner(tx, forWhom);
  if (!owner) throw forWhom.type === 'user' ? accountGone() : noSuchServiceAccount();
  return owner;
}

/**
 * Returns the key with this id after locking its owner, so that changes of an owner's keys come one
 * after the other. Nobody may change another user's key, since that would mean acting as that user; with
 * `api_keys.write` a caller can revoke it.
 *
 * Throws `NOT_FOUND`, also for a key that the caller may not reach.
 */
export async function lockKey(
  tx: Transaction,
  keyId: string,
  reach: Reach,
): Promise<{ key: ApiKey; owner: LockedOwner }> {
  const found = await apiKeysIn(tx.em).findOne({ id: keyId });
  if (!found || !mayReach(tx.caller, ownerOf(found), reach)) throw noSuchKey();
  const owner = await lockOwner(tx, ownerOf(found));
  const key = owner && (await tx.em.refresh(found));
  if (!key) throw noSuchKey();
  return { key, owner };
}

function ownerOf({ account, serviceAccount }: ApiKey): KeyOwner {
  return account
    ? { type: 'user', id: account }
    : { type: 'service_account', id: serviceAccount ?? '' };
}

function mayReach(caller: Caller, owner: KeyOwner, reach: Reach): boolean {
  if (caller.kind === 'operator') return true;
  if (owner.type === 'user' && owner.id === caller.subject) return true;
  return holds(caller, PERMISSION) && (owner.type === 'service_account' || reach === 'any');
}

/** Returns undefined if the owner has been deleted. Throws what `lockOwn` throws if it is the caller. */
async function lockOwner(
  { em, caller }: Transaction,
  owner: KeyOwner,
): Promise<LockedOwner | undefined> {
  const { type } = owner;
  const locked = await lockHolderOf(em, caller, owner);
  if (!locked) return undefined;
  const held = await rolesIn(em).permissionsOf(locked.roles);
  const granter = caller.kind === 'operator' ? held : [...(await heldNow(em, caller))];
  return { type, id: locked.id, bounds: { owner: held, granter } };
}

function lockHolderOf(em: EntityManager, caller: Caller, { type, id }: KeyOwner) {
  if (type === 'service_account') return serviceAccountsIn(em).lockLive(id);
  return id === caller.subject ? accountsIn(em).lockOwn(caller) : accountsIn(em).lockLive({ id });
}

/** Throws `API_KEY_REVOKED` for a key that can no longer be changed. */
export function requireUnrevoked(key: ApiKey): void {
  if (!key.revokedAt) return;
  const message = 'the API key has been revoked; create another one';
  throw new Failure('precondition', 'API_KEY_REVOKED', message);
}
