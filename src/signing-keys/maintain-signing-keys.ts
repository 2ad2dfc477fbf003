import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  addSigningKey,
  type GeneratedKey,
  generateSigningKey,
  isInUse,
  openPrivateKey,
  PRIVATE_KEY_PURPOSE,
  requireMasterKey,
} from './generate-signing-key.ts';
import { leavesAt, readyAt } from './schedule.ts';
import type { SigningAlgorithm, SigningKey, SigningKeyState } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';

export type MaintainDeps = {
  database: SqlDatabase;
  keyring: Keyring;
  clock: Clock;
  signingAlg: SigningAlgorithm;
  accessTokenTtlMs: number;
};

/**
 * Brings the signing keys to where they should be: one that signs, one that comes next, both sealed
 * under the current master key, and none whose tokens have all expired. Replicas that do this at once do it
 * one after another, under a lock, so that there is one set of keys however many start together (S12).
 *
 * A change of COUNTERSIGN_SIGNING_ALG takes effect once the new key has been public long enough for
 * every cache to have it. Gives true where something changed.
 */
export async function maintainSigningKeys(deps: MaintainDeps): Promise<boolean> {
  const settled = await deps.database.read(async (em) => {
    const keys = await signingKeysIn(em).findAll();
    return plan(keys, deps) === undefined;
  });
  if (settled) return false;
  // Made before the lock is taken: an RSA key takes up to a second.
  const spares = [await generateSigningKey(deps), await generateSigningKey(deps)];
  return deps.database.transaction(async (em) => {
    await signingKeysIn(em).lockForChange();
    let changed = false;
    for (let step = await next(em, deps); step; step = await next(em, deps)) {
      await apply(em, deps, step, spares);
      changed = true;
    }
    return changed;
  });
}

type Step =
  | { do: 'create'; state: Exclude<SigningKeyState, 'retired'> }
  | { do: 'promote'; next: SigningKey; active: SigningKey }
  | { do: 'remove'; key: SigningKey }
  | { do: 'reseal'; key: SigningKey };

async function next(em: EntityManager, deps: MaintainDeps): Promise<Step | undefined> {
  const keys = await signingKeysIn(em).findAll();
  const step = plan(keys, deps);
  // A replica with another master key must not change what the others sign with.
  if (step) requireMasterKey(deps.keyring, keys);
  return step;
}

/** The first thing that needs doing, if any. */
function plan(keys: SigningKey[], deps: MaintainDeps): Step | undefined {
  const now = deps.clock.now();
  const active = keys.find((key) => key.state === 'active');
  const following = keys.find((key) => key.state === 'next');
  const expired = keys.find(
    (key) =>
      key.state === 'retired' &&
      key.retiredAt &&
      leavesAt(key.retiredAt, deps.accessTokenTtlMs) <= now,
  );
  if (!active) return { do: 'create', state: 'active' };
  if (!following) return { do: 'create', state: 'next' };
  if (expired) return { do: 'remove', key: expired };
  if (following.algorithm !== deps.signingAlg) return { do: 'remove', key: following };
  if (active.algorithm !== deps.signingAlg && readyAt(following) <= now) {
    return { do: 'promote', next: following, active };
  }
  const { keyring } = deps;
  const outdated = keys
    .filter(isInUse)
    .find((key) => keyring.versionOf(key.privateSealed) < keyring.current);
  return outdated && { do: 'reseal', key: outdated };
}

async function apply(
  em: EntityManager,
  deps: MaintainDeps,
  step: Step,
  spares: GeneratedKey[],
): Promise<void> {
  const now = deps.clock.now();
  if (step.do === 'create') {
    addSigningKey(em, spares.pop() ?? (await generateSigningKey(deps)), step.state, now);
  } else if (step.do === 'promote') {
    await promote(em, step, now);
  } else if (step.do === 'reseal') {
    step.key.privateSealed = deps.keyring.seal(
      PRIVATE_KEY_PURPOSE,
      openPrivateKey(deps.keyring, step.key),
    );
  } else {
    em.remove(step.key);
  }
  await em.flush();
}

/** Has the next key take over from the active one. */
export async function promote(
  em: EntityManager,
  { active, next: following }: { active: SigningKey; next: SigningKey },
  now: Date,
): Promise<void> {
  Object.assign(active, { state: 'retired', retiredAt: now });
  // One at a time: there is never more than one active key.
  await em.flush();
  Object.assign(following, { state: 'active', activatedAt: now });
  await em.flush();
}
