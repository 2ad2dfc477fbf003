import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Keyring } from '../platform/crypto.ts';
import type { SigningAlgorithm, SigningKey } from './signing-key.entity.ts';
import type { GeneratedKey } from './signing-key.repository.ts';

export const PRIVATE_KEY_PURPOSE = 'signing-key';

const generatePair = promisify(generateKeyPair);

/**
 * Generates a key and seals its private half. Call it before taking a lock: an RSA key takes up to a
 * second.
 */
export async function generateSigningKey({
  signingAlg,
  keyring,
}: {
  signingAlg: SigningAlgorithm;
  keyring: Keyring;
}): Promise<GeneratedKey> {
  const privateKey = await generatePrivateKey(signingAlg);
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    id: await calculateJwkThumbprint(publicJwk),
    algorithm: signingAlg,
    publicJwk,
    privateSealed: keyring.seal(PRIVATE_KEY_PURPOSE, der),
  };
}

async function generatePrivateKey(algorithm: SigningAlgorithm): Promise<KeyObject> {
  switch (algorithm) {
    case 'ES256':
      return (await generatePair('ec', { namedCurve: 'P-256' })).privateKey;
    case 'EdDSA':
      return (await generatePair('ed25519')).privateKey;
    case 'RS256':
      return (await generatePair('rsa', { modulusLength: 2048 })).privateKey;
  }
}

/** The private half of a key. Throws if it is sealed under another master key. */
export function openPrivateKey(keyring: Keyring, key: SigningKey): Buffer {
  return keyring.open(PRIVATE_KEY_PURPOSE, key.privateSealed);
}

/** Throws if this process has another master key: it must not change what other replicas sign with. */
export function requireMasterKey(keyring: Keyring, keys: readonly SigningKey[]): void {
  for (const key of keys) if (isInUse(key)) openPrivateKey(keyring, key);
}

/** Whether the key's private half will be needed. */
export function isInUse(key: SigningKey): boolean {
  return key.state !== 'retired';
}
