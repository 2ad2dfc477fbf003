import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { unavailable } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { generateSigningKey, requireMasterKey } from './generate-signing-key.ts';
import type { KeySet } from './key-set.ts';
import type { RevokedSigningKey } from './revoked-signing-key.entity.ts';
import { revokedSigningKeysIn } from './revoked-signing-key.repository.ts';
import { revocationKeptMs } from './schedule.ts';
import type { SigningAlgorithm, SigningKey } from './signing-key.entity.ts';
import { type GeneratedKey, noSuchSigningKey, signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf, viewOfRevoked } from './signing-key-view.ts';

export type KeyRevocation = { keyId: string; reason: string };

export type KeyRevoked = { revokedKey: SigningKeyView; activeKey: SigningKeyView };

/**
 * Takes a key that someone else may have out of use (S12). When it returns, this replica neither signs
 * nor publishes with it and refuses all its tokens, and the others do within a second (S09). Its private
 * half is erased. If it was active, the next key takes over at once. Sessions continue. Idempotent.
 *
 * Throws `NOT_FOUND` if there is no such key.
 */
export async function revokeSigningKey(
  needs: {
    database: Database;
    keyring: Keyring;
    keys: KeySet;
    signingAlg: SigningAlgorithm;
    accessTokenTtlMs: number;
  },
  caller: Caller,
  revocation: KeyRevocation,
): Promise<KeyRevoked> {
  const { database, keys } = needs;
  const spares = [await generateSigningKey(needs), await generateSigningKey(needs)];
  const revoked = await database.transaction(caller, (tx) => revoke(tx, needs, revocation, spares));
  await keys.announce();
  return revoked;
}

async function revoke(
  tx: Transaction,
  { keyring, accessTokenTtlMs }: { keyring: Keyring; accessTokenTtlMs: number },
  { keyId, reason }: KeyRevocation,
  spares: GeneratedKey[],
): Promise<KeyRevoked> {
  const repository = signingKeysIn(tx.em);
  await repository.lockForChange();
  const keys = await repository.findAll();
  const key = keys.find(({ id }) => id === keyId);
  if (!key) {
    const revokedKey = viewOfRevoked(await revokedBefore(tx, keyId));
    await tx.repeatRevocation([{ kind: 'signing_key', id: keyId }]);
    return { revokedKey, activeKey: viewOf(await activeKey(tx), accessTokenTtlMs) };
  }
  requireMasterKey(keyring, keys);
  const { state } = key;
  const revoked = await moveAway(tx, key, reason);
  await fillGaps(tx, keys, state, spares);
  const active = await activeKey(tx);
  tx.audit({
    type: 'signing_key.revoked',
    details: { key_id: keyId, state, reason, active_key_id: active.id },
  });
  const target = { kind: 'signing_key' as const, id: keyId };
  await tx.revoke([target], 'signing_key_revoked', revocationKeptMs(accessTokenTtlMs));
  return { revokedKey: viewOfRevoked(revoked), activeKey: viewOf(active, accessTokenTtlMs) };
}

async function revokedBefore({ em }: Transaction, id: string): Promise<RevokedSigningKey> {
  const key = await revokedSigningKeysIn(em).findOne({ id });
  if (!key) throw noSuchSigningKey();
  return key;
}

/**
 * Moves a key out of the table that every version of the program reads. The private half goes with the
 * row.
 */
async function moveAway({ em, clock }: Transaction, key: SigningKey, reason: string) {
  const { id, algorithm, publicJwk, createdAt, activatedAt, retiredAt } = key;
  const publicParts = { id, algorithm, publicJwk, createdAt, activatedAt, retiredAt };
  const revoked = revokedSigningKeysIn(em).create({
    ...publicParts,
    revokedAt: clock.now(),
    reason,
  });
  em.remove(key);
  await em.flush();
  return revoked;
}

/** Makes sure that one key signs and one comes next, after a key in the state `gone` was removed. */
async function fillGaps(
  { em, clock }: Transaction,
  keys: readonly SigningKey[],
  gone: SigningKey['state'],
  spares: GeneratedKey[],
): Promise<void> {
  if (gone === 'retired') return;
  // The transaction waited for the lock of the keys after it began.
  const now = clock.now();
  const add = async (state: 'active' | 'next') => {
    const spare = spares.pop();
    if (spare) signingKeysIn(em).add(spare, state, now);
    await em.flush();
  };
  if (gone === 'active') {
    const next = keys.find(({ state }) => state === 'next');
    if (next) Object.assign(next, { state: 'active', activatedAt: now });
    else await add('active');
    await em.flush();
  }
  await add('next');
}

async function activeKey({ em }: Transaction): Promise<SigningKey> {
  const active = await signingKeysIn(em).findOne({ state: 'active' });
  if (!active) throw unavailable('the signing key');
  return active;
}
