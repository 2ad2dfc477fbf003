import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { unavailable } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import {
  addSigningKey,
  type GeneratedKey,
  generateSigningKey,
  requireMasterKey,
} from './generate-signing-key.ts';
import type { KeySet } from './key-set.ts';
import type { MaintainDeps } from './maintain-signing-keys.ts';
import { RevokedSigningKey } from './revoked-signing-key.entity.ts';
import { noSuchKey } from './rotate-signing-key.ts';
import { revocationKeptMs } from './schedule.ts';
import { SigningKey } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';
import { type SigningKeyView, viewOf, viewOfRevoked } from './signing-key-view.ts';

export type RevokeSigningKeyDeps = MaintainDeps & {
  keys: Pick<KeySet, 'announce'>;
  revocations: {
    /** Writes revocations in the transaction of their cause; gives what to do after its commit. */
    revoke(
      em: EntityManager,
      targets: readonly { kind: 'signing_key'; id: string }[],
      cause: 'signing_key_revoked',
      keptMs: number,
    ): Promise<() => void>;
  };
};

export type KeyRevocation = {
  /** Who asks: an account's id. Undefined: the command line. */
  actor?: string | undefined;
  keyId: string;
  reason: string;
};

export type KeyRevoked = { revokedKey: SigningKeyView; activeKey: SigningKeyView };

type Change = KeyRevoked & { afterCommit?: () => void };

/**
 * Takes a key that somebody else may have out of use (S12): when it returns, this replica neither
 * signs nor publishes with it and refuses all its tokens, and the others do within a second (S09). Its
 * private half is erased. The next key takes over from an active one at once. Sessions go on.
 * Idempotent: a key that has been revoked stays so.
 *
 * Throws `NOT_FOUND` where there is no such key.
 */
export async function revokeSigningKey(
  deps: RevokeSigningKeyDeps,
  caller: Caller,
  revocation: KeyRevocation,
): Promise<KeyRevoked> {
  const spares = [await generateSigningKey(deps), await generateSigningKey(deps)];
  const { afterCommit, ...result } = await deps.database.transaction(
    (em) => revoke(em, deps, caller, revocation, spares),
    caller.signal,
  );
  afterCommit?.();
  await deps.keys.announce();
  return result;
}

async function revoke(
  em: EntityManager,
  deps: RevokeSigningKeyDeps,
  caller: Caller,
  { actor, keyId, reason }: KeyRevocation,
  spares: GeneratedKey[],
): Promise<Change> {
  const repository = signingKeysIn(em);
  await repository.lockForChange();
  const keys = await repository.findAll();
  const key = keys.find(({ id }) => id === keyId);
  if (!key) return { ...(await revokedBefore(em, keyId)), activeKey: await activeKey(em, deps) };
  requireMasterKey(deps.keyring, keys);
  const { state } = key;
  const revoked = await moveAway(em, key, reason, deps.clock.now());
  await fillGaps(em, keys, state, spares, deps.clock.now());
  const active = await activeKey(em, deps);
  recordAudit(em, deps, caller, {
    type: 'signing_key.revoked',
    actor,
    details: { key_id: keyId, state, reason, active_key_id: active.keyId },
  });
  const target = { kind: 'signing_key' as const, id: keyId };
  const keptMs = revocationKeptMs(deps.accessTokenTtlMs);
  const afterCommit = await deps.revocations.revoke(em, [target], 'signing_key_revoked', keptMs);
  return { revokedKey: viewOfRevoked(revoked), activeKey: active, afterCommit };
}

async function revokedBefore(em: EntityManager, id: string) {
  const key = await em.findOne(RevokedSigningKey, { id });
  if (!key) throw noSuchKey();
  return { revokedKey: viewOfRevoked(key) };
}

/** Out of the table that all read, whatever their version. The private half goes with the row. */
async function moveAway(em: EntityManager, key: SigningKey, reason: string, now: Date) {
  const { id, algorithm, publicJwk, createdAt, activatedAt, retiredAt } = key;
  const publicParts = { id, algorithm, publicJwk, createdAt, activatedAt, retiredAt };
  const revoked = em.create(RevokedSigningKey, { ...publicParts, revokedAt: now, reason });
  em.remove(key);
  await em.flush();
  return revoked;
}

/** Has there be one key that signs and one that comes next, after a key in that state has gone. */
async function fillGaps(
  em: EntityManager,
  keys: readonly SigningKey[],
  gone: SigningKey['state'],
  spares: GeneratedKey[],
  now: Date,
): Promise<void> {
  if (gone === 'retired') return;
  const add = async (state: 'active' | 'next') => {
    const spare = spares.pop();
    if (spare) addSigningKey(em, spare, state, now);
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

async function activeKey(em: EntityManager, deps: RevokeSigningKeyDeps): Promise<SigningKeyView> {
  const active = await em.findOne(SigningKey, { state: 'active' });
  if (!active) throw unavailable('the signing key');
  return viewOf(active, deps.accessTokenTtlMs);
}
