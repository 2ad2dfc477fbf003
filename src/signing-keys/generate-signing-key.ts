import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type SigningAlgorithm, SigningKey, type SigningKeyState } from './signing-key.entity.ts';

export const PRIVATE_KEY_PURPOSE = 'signing-key';

export type GeneratedKey = Pick<SigningKey, 'id' | 'algorithm' | 'publicJwk' | 'privateSealed'>;

const generatePair = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>;

/** A new key, its private half sealed. Made before a lock is taken: an RSA key takes up to a second. */
export async function generateSigningKey(deps: {
  signingAlg: SigningAlgorithm;
  keyring: Keyring;
}): Promise<GeneratedKey> {
  const { signingAlg, keyring } = deps;
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

/** Puts a generated key among the keys. */
export function addSigningKey(
  em: EntityManager,
  key: GeneratedKey,
  state: Exclude<SigningKeyState, 'retired'>,
  now: Date,
): SigningKey {
  const activatedAt = state === 'active' ? now : null;
  return em.create(SigningKey, { ...key, state, createdAt: now, activatedAt, retiredAt: null });
}

/** The private half of a key. Throws where the master key is not the one that it is sealed under. */
export function openPrivateKey(keyring: Keyring, key: SigningKey): Buffer {
  return keyring.open(PRIVATE_KEY_PURPOSE, key.privateSealed);
}

/** Throws where this process holds another master key: it must not change what others sign with. */
export function requireMasterKey(keyring: Keyring, keys: readonly SigningKey[]): void {
  for (const key of keys) if (isInUse(key)) openPrivateKey(keyring, key);
}

/** Whether its private half will be needed. */
export function isInUse(key: SigningKey): boolean {
  return key.state !== 'retired';
}
