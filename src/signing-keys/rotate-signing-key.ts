import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure, unavailable } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { generateSigningKey, requireMasterKey } from './generate-signing-key.ts';
import type { KeySet } from './key-set.ts';
import { revokedSigningKeysIn } from './revoked-signing-key.repository.ts';
import { readyAt } from './schedule.ts';
import type { SigningAlgorithm, SigningKey } from './signing-key.entity.ts';
import { type GeneratedKey, noSuchSigningKey, signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf } from './signing-key-view.ts';

export type Rotation = {
  /** The key to replace. Empty: whichever is active. */
  activeKeyId: string;
  /** Whether to rotate even if caches may not have the next key yet. */
  force: boolean;
};

type Rotated<Key> = { activeKey: Key; nextKey: Key; rotated: boolean };

/**
 * Retires the active key, lets the next one sign, and adds a new next key (S12). Calls that name the
 * same active key rotate once, however many there are and however often they are repeated.
 *
 * Throws `SIGNING_KEY_TOO_NEW` while caches may not have the next key, unless forced; `NOT_FOUND` for
 * a key that has never been active or no longer exists.
 */
export async function rotateSigningKey(
  needs: {
    database: Database;
    keyring: Keyring;
    keys: KeySet;
    signingAlg: SigningAlgorithm;
    accessTokenTtlMs: number;
  },
  caller: Caller,
  rotation: Rotation,
): Promise<Rotated<SigningKeyView>> {
  const { database, keyring, keys, accessTokenTtlMs } = needs;
  const spare = await generateSigningKey(needs);
  const result = await database.transaction(caller, async (tx) => {
    const { activeKey, nextKey, rotated } = await rotate(tx, keyring, rotation, spare);
    const view = (key: SigningKey) => viewOf(key, accessTokenTtlMs);
    return { activeKey: view(activeKey), nextKey: view(nextKey), rotated };
  });
  if (result.rotated) await keys.announce();
  return result;
}

async function rotate(
  tx: Transaction,
  keyring: Keyring,
  { activeKeyId, force }: Rotation,
  spare: GeneratedKey,
): Promise<Rotated<SigningKey>> {
  const repository = signingKeysIn(tx.em);
  await repository.lockForChange();
  // After the lock: a rotation that waited for another one is later than it.
  const now = tx.clock.now();
  const keys = await repository.findAll();
  const active = keys.find((key) => key.state === 'active');
  const next = keys.find((key) => key.state === 'next');
  // The service creates both before it is ready.
  if (!active || !next) throw unavailable('the next signing key');
  if (activeKeyId !== '' && activeKeyId !== active.id) {
    if (!(await wasActive(tx.em, keys, activeKeyId))) throw noSuchSigningKey();
    return { activeKey: active, nextKey: next, rotated: false };
  }
  if (!force) requireReady(next, now);
  requireMasterKey(keyring, keys);
  await repository.promote({ active, next }, now);
  const following = repository.add(spare, 'next', now);
  tx.audit({
    type: 'signing_key.rotated',
    details: { retired_key_id: active.id, active_key_id: next.id, next_key_id: spare.id, force },
  });
  return { activeKey: next, nextKey: following, rotated: true };
}

/** Whether a key that is not active now once was: a call that names it is late. */
async function wasActive(em: EntityManager, keys: SigningKey[], id: string): Promise<boolean> {
  const known =
    keys.find((key) => key.id === id) ?? (await revokedSigningKeysIn(em).findOne({ id }));
  return !!known?.activatedAt;
}

function requireReady(next: SigningKey, now: Date): void {
  const waitMs = readyAt(next).getTime() - now.getTime();
  if (waitMs <= 0) return;
  throw new Failure(
    'precondition',
    'SIGNING_KEY_TOO_NEW',
    `the next key has been public since ${next.createdAt.toISOString()}, and may sign 20 minutes after that; wait, or force the rotation`,
    { retryAfterMs: waitMs, metadata: { ready_at: readyAt(next).toISOString() } },
  );
}
