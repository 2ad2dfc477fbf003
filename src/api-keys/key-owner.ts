import { heldNow } from '../access/held-now.ts';
import { rolesIn } from '../access/role.repository.ts';
import { accountGone, accountsIn } from '../accounts/account.repository.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { serviceAccountsIn } from '../service-accounts/service-account.repository.ts';
import { ApiKey } from './api-key.entity.ts';
import { type KeyActor, type KeyOwner, noSuchKey } from './api-key-view.ts';
import type { ScopeBounds } from './key-settings.ts';

const PERMISSION = 'api_keys.write';

/** The owner of keys that are changed, locked until the transaction ends. */
export type LockedOwner = KeyOwner & { bounds: ScopeBounds };

/** What the change of a key is of: `any` of a user's too, which only an end can be. */
type Reach = 'managed' | 'any';

/**
 * The owner of a key that is to be made, locked: the caller, or with `api_keys.write` a service account.
 *
 * Throws `PERMISSION_DENIED`, `NOT_FOUND` for the service account.
 */
export async function lockNewOwner(
  em: EntityManager,
  actor: KeyActor,
  forWhom: KeyOwner = { type: 'user', id: actor.accountId ?? '' },
): Promise<LockedOwner> {
  if (!mayReach(actor, forWhom, 'managed')) {
    const message = `the permission ${PERMISSION} is needed for the keys of others`;
    throw new Failure('denied', 'PERMISSION_DENIED', message, {
      metadata: { permission: PERMISSION },
    });
  }
  const owner = await lockOwner(em, actor, forWhom);
  if (owner) return owner;
  if (forWhom.type === 'user') throw accountGone();
  throw new Failure('not_found', 'NOT_FOUND', 'there is no such service account');
}

/**
 * The key with this id, whose owner is locked first: whoever changes keys does so one after the other.
 * Nobody gets to change another user's key, which would be to act as them; with `api_keys.write` it can
 * be ended.
 *
 * Throws `NOT_FOUND`, also for a key that the caller may not reach.
 */
export async function lockKey(
  em: EntityManager,
  actor: KeyActor,
  keyId: string,
  reach: Reach,
): Promise<{ key: ApiKey; owner: LockedOwner }> {
  const found = await em.findOne(ApiKey, { id: keyId });
  if (!found || !mayReach(actor, ownerOf(found), reach)) throw noSuchKey();
  const owner = await lockOwner(em, actor, ownerOf(found));
  const key = owner && (await em.refresh(found));
  if (!key) throw noSuchKey();
  return { key, owner };
}

function ownerOf({ account, serviceAccount }: ApiKey): KeyOwner {
  return account
    ? { type: 'user', id: account }
    : { type: 'service_account', id: serviceAccount ?? '' };
}

function mayReach({ accountId, permissions }: KeyActor, owner: KeyOwner, reach: Reach): boolean {
  if (accountId === undefined) return true;
  if (owner.type === 'user' && owner.id === accountId) return true;
  return permissions.includes(PERMISSION) && (owner.type === 'service_account' || reach === 'any');
}

/** Undefined where the owner has been deleted. */
async function lockOwner(
  em: EntityManager,
  actor: KeyActor,
  { type, id }: KeyOwner,
): Promise<LockedOwner | undefined> {
  const locked =
    type === 'user'
      ? await accountsIn(em).lockLive({ id })
      : await serviceAccountsIn(em).lockLive(id);
  if (!locked) return undefined;
  const held = await rolesIn(em).permissionsOf(locked.roles);
  const { accountId, permissions } = actor;
  const granter =
    accountId === undefined ? held : [...(await heldNow(em, { id: accountId, permissions }))];
  return { type, id: locked.id, bounds: { owner: held, granter } };
}

/** Throws `API_KEY_REVOKED` for a key that can't be changed any more. */
export function requireUnrevoked(key: ApiKey): void {
  if (!key.revokedAt) return;
  throw new Failure('precondition', 'API_KEY_REVOKED', 'the API key has been revoked');
}
