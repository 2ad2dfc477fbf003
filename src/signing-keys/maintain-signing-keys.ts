import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  generateSigningKey,
  isInUse,
  openPrivateKey,
  PRIVATE_KEY_PURPOSE,
  requireMasterKey,
} from './generate-signing-key.ts';
import { leavesAt, readyAt } from './schedule.ts';
import type { SigningAlgorithm, SigningKey, SigningKeyState } from './signing-key.entity.ts';
import { type GeneratedKey, signingKeysIn } from './signing-key.repository.ts';

/** What the keys should be like. */
type Target = { keyring: Keyring; signingAlg: SigningAlgorithm; accessTokenTtlMs: number };

type Step =
  | { do: 'create'; state: Exclude<SigningKeyState, 'retired'> }
  | { do: 'promote'; next: SigningKey; active: SigningKey }
  | { do: 'remove'; key: SigningKey }
  | { do: 'reseal'; key: SigningKey };

/**
 * Brings the signing keys to where they should be: one that signs, one that comes next, both sealed
 * under the current master key, and none whose tokens have all expired. Replicas do so one after
 * another, under a lock, so that there is one set of keys however many start together (S12).
 *
 * A change of COUNTERSIGN_SIGNING_ALG takes effect once the new key has been public long enough to be
 * in every cache. Returns whether anything changed.
 */
export async function maintainSigningKeys(needs: {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  signingAlg: SigningAlgorithm;
  accessTokenTtlMs: number;
}): Promise<boolean> {
  const { database, clock } = needs;
  const keys = await database.read((em) => signingKeysIn(em).findAll());
  if (!nextStep(keys, needs, clock.now())) return false;
  // Generated before the lock is taken: an RSA key takes up to a second.
  const spares = [await generateSigningKey(needs), await generateSigningKey(needs)];
  return database.transaction(async (em) => {
    await signingKeysIn(em).lockForChange();
    const now = clock.now();
    let changed = false;
    for (;;) {
      const present = await signingKeysIn(em).findAll();
      const step = nextStep(present, needs, now);
      if (!step) return changed;
      requireMasterKey(needs.keyring, present);
      await take(em, needs, { step, now, spares });
      changed = true;
    }
  });
}

/** The first thing that needs doing, if anything does. */
function nextStep(keys: SigningKey[], target: Target, now: Date): Step | undefined {
  const { keyring, signingAlg, accessTokenTtlMs } = target;
  const active = keys.find((key) => key.state === 'active');
  const next = keys.find((key) => key.state === 'next');
  const expired = keys.find(
    ({ state, retiredAt }) =>
      state === 'retired' && retiredAt && leavesAt(retiredAt, accessTokenTtlMs) <= now,
  );
  if (!active) return { do: 'create', state: 'active' };
  if (!next) return { do: 'create', state: 'next' };
  if (expired) return { do: 'remove', key: expired };
  if (next.algorithm !== signingAlg) return { do: 'remove', key: next };
  if (active.algorithm !== signingAlg && readyAt(next) <= now) {
    return { do: 'promote', next, active };
  }
  const outdated = keys
    .filter(isInUse)
    .find((key) => keyring.versionOf(key.privateSealed) < keyring.current);
  return outdated && { do: 'reseal', key: outdated };
}

async function take(
  em: EntityManager,
  target: Target,
  { step, now, spares }: { step: Step; now: Date; spares: GeneratedKey[] },
): Promise<void> {
  const { keyring } = target;
  const keys = signingKeysIn(em);
  if (step.do === 'create') {
    keys.add(spares.pop() ?? (await generateSigningKey(target)), step.state, now);
  } else if (step.do === 'promote') {
    await keys.promote(step, now);
  } else if (step.do === 'reseal') {
    const der = openPrivateKey(keyring, step.key);
    step.key.privateSealed = keyring.seal(PRIVATE_KEY_PURPOSE, der);
  } else {
    em.remove(step.key);
  }
  await em.flush();
}
