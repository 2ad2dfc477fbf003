import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure, unavailable } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import {
  addSigningKey,
  type GeneratedKey,
  generateSigningKey,
  requireMasterKey,
} from './generate-signing-key.ts';
import type { KeySet } from './key-set.ts';
import { type MaintainDeps, promote } from './maintain-signing-keys.ts';
import { RevokedSigningKey } from './revoked-signing-key.entity.ts';
import { readyAt } from './schedule.ts';
import type { SigningKey } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf } from './signing-key-view.ts';

export type RotateSigningKeyDeps = MaintainDeps & { keys: Pick<KeySet, 'announce'> };

export type Rotation = {
  /** Who asks: an account's id. Undefined: the command line. */
  actor?: string | undefined;
  /** The key to be replaced. Empty: whichever is active. */
  activeKeyId: string;
  /** Whether to do it although caches may not have the next key yet. */
  force: boolean;
};

export type Rotated = { activeKey: SigningKeyView; nextKey: SigningKeyView; rotated: boolean };

/**
 * Has the next key sign, retires the active one, and makes a new next key (S12). Calls that name the
 * same active key rotate once, however many there are and however often they come.
 *
 * Throws `SIGNING_KEY_TOO_NEW` while caches may not have the next key, unless forced; `NOT_FOUND` for
 * a key that has never been active, or is gone.
 */
export async function rotateSigningKey(
  deps: RotateSigningKeyDeps,
  caller: Caller,
  rotation: Rotation,
): Promise<Rotated> {
  const spare = await generateSigningKey(deps);
  const result = await deps.database.transaction(
    (em) => rotate(em, deps, caller, rotation, spare),
    caller.signal,
  );
  if (result.rotated) await deps.keys.announce();
  return result;
}

async function rotate(
  em: EntityManager,
  deps: RotateSigningKeyDeps,
  caller: Caller,
  { actor, activeKeyId, force }: Rotation,
  spare: GeneratedKey,
): Promise<Rotated> {
  await signingKeysIn(em).lockForChange();
  const keys = await signingKeysIn(em).findAll();
  const active = keys.find((key) => key.state === 'active');
  const next = keys.find((key) => key.state === 'next');
  // The service makes both before it is ready.
  if (!active || !next) throw unavailable('the next signing key');
  if (activeKeyId !== '' && activeKeyId !== active.id) {
    if (!(await wasActive(em, keys, activeKeyId))) throw noSuchKey();
    return answer(active, next, false);
  }
  const now = deps.clock.now();
  if (!force) requireReady(next, now);
  requireMasterKey(deps.keyring, keys);
  await promote(em, { active, next }, now);
  const following = addSigningKey(em, spare, 'next', now);
  recordAudit(em, deps, caller, {
    type: 'signing_key.rotated',
    actor,
    details: { retired_key_id: active.id, active_key_id: next.id, next_key_id: spare.id, force },
  });
  return answer(next, following, true);

  function answer(activeKey: SigningKey, nextKey: SigningKey, rotated: boolean): Rotated {
    const view = (key: SigningKey) => viewOf(key, deps.accessTokenTtlMs);
    return { activeKey: view(activeKey), nextKey: view(nextKey), rotated };
  }
}

/** Whether a key that is not active now was so once: a call that names it comes late. */
async function wasActive(em: EntityManager, keys: SigningKey[], id: string): Promise<boolean> {
  const known = keys.find((key) => key.id === id) ?? (await em.findOne(RevokedSigningKey, { id }));
  return !!known?.activatedAt;
}

function requireReady(next: SigningKey, now: Date): void {
  const waitMs = readyAt(next).getTime() - now.getTime();
  if (waitMs <= 0) return;
  throw new Failure(
    'precondition',
    'SIGNING_KEY_TOO_NEW',
    `the next key is public from ${next.createdAt.toISOString()}, and signs after 20 minutes`,
    { retryAfterMs: waitMs, metadata: { ready_at: readyAt(next).toISOString() } },
  );
}

export function noSuchKey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such signing key');
}
