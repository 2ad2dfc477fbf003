import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database, EntityManager } from '../platform/database.ts';
import { type SigningAlgorithm, SigningKey, type SigningKeyState } from './signing-key.entity.ts';

/** Envoy and Istio cache a JWKS for up to 20 minutes: a key is public that long before it signs. */
const PUBLISHED_AHEAD_MS = 20 * 60_000;
/** How much longer than a token's life its key stays: clocks differ. */
const RETIRED_MARGIN_MS = 5 * 60_000;

export const PRIVATE_KEY_PURPOSE = 'signing-key';

export type MaintainDeps = {
  database: Database;
  keyring: Keyring;
  clock: Clock;
  signingAlg: SigningAlgorithm;
  accessTokenTtlMs: number;
};

/**
 * Brings the signing keys to where they should be: one that signs, one that comes next, both sealed
 * under the current master key, and none whose tokens have all expired. Replicas that do this at once do it one after another, under a
 * lock, so that there is one set of keys however many start together (S12).
 *
 * A change of COUNTERSIGN_SIGNING_ALG takes effect once the new key has been public long enough for
 * every cache to have it. Gives true where something changed.
 */
export async function maintainSigningKeys(deps: MaintainDeps): Promise<boolean> {
  const settled = await deps.database.read(async (em) => {
    const keys = await em.getRepository(SigningKey).findAll();
    return plan(keys, deps) === undefined;
  });
  if (settled) return false;
  // Made before the lock is taken: an RSA key takes up to a second.
  const spares = [await generate(deps), await generate(deps)];
  return deps.database.transaction(async (em) => {
    await em.getRepository(SigningKey).lockForChange();
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
  const keys = await em.getRepository(SigningKey).findAll();
  const step = plan(keys, deps);
  // A replica with another master key must not change what the others sign with.
  if (step) for (const key of keys.filter(isInUse)) open(deps, key);
  return step;
}

function isInUse(key: SigningKey): boolean {
  return key.state !== 'retired';
}

function open({ keyring }: MaintainDeps, key: SigningKey): Buffer {
  return keyring.open(PRIVATE_KEY_PURPOSE, key.privateSealed);
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
      addMs(key.retiredAt, deps.accessTokenTtlMs + RETIRED_MARGIN_MS) <= now,
  );
  if (!active) return { do: 'create', state: 'active' };
  if (!following) return { do: 'create', state: 'next' };
  if (expired) return { do: 'remove', key: expired };
  if (following.algorithm !== deps.signingAlg) return { do: 'remove', key: following };
  const published = addMs(following.createdAt, PUBLISHED_AHEAD_MS) <= now;
  if (active.algorithm !== deps.signingAlg && published) {
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
  spares: Generated[],
): Promise<void> {
  const now = deps.clock.now();
  if (step.do === 'create') {
    const key = spares.pop() ?? (await generate(deps));
    em.create(SigningKey, {
      ...key,
      state: step.state,
      createdAt: now,
      activatedAt: step.state === 'active' ? now : null,
      retiredAt: null,
    });
  } else if (step.do === 'promote') {
    Object.assign(step.active, { state: 'retired', retiredAt: now });
    // One at a time: there is never more than one active key.
    await em.flush();
    Object.assign(step.next, { state: 'active', activatedAt: now });
  } else if (step.do === 'reseal') {
    step.key.privateSealed = deps.keyring.seal(PRIVATE_KEY_PURPOSE, open(deps, step.key));
  } else {
    em.remove(step.key);
  }
  await em.flush();
}

type Generated = Pick<SigningKey, 'id' | 'algorithm' | 'publicJwk' | 'privateSealed'>;

const generatePair = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>;

async function generate({ signingAlg, keyring }: MaintainDeps): Promise<Generated> {
  const { privateKey } =
    signingAlg === 'ES256'
      ? await generatePair('ec', { namedCurve: 'P-256' })
      : signingAlg === 'EdDSA'
        ? await generatePair('ed25519', {})
        : await generatePair('rsa', { modulusLength: 2048 });
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    id: await calculateJwkThumbprint(publicJwk),
    algorithm: signingAlg,
    publicJwk,
    privateSealed: keyring.seal(PRIVATE_KEY_PURPOSE, der),
  };
}
