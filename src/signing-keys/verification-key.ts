import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from './signing-key.entity.ts';

/** A public key, and the one algorithm that it verifies. */
export type VerificationKey = { id: string; algorithm: SigningAlgorithm; key: KeyObject };

const RSA_BITS = new Set([2048, 3072, 4096]);
const RSA_EXPONENT = 65_537n;

/**
 * The key of a JWK (RFC 7517), or undefined if the service would not generate such a key: if its
 * type, curve or use is not its algorithm's, its point is not on the curve, or its size or exponent
 * is unusual.
 */
export function verificationKey(jwk: JWK): VerificationKey | undefined {
  const { kid, use = 'sig', key_ops: operations = ['verify'] } = jwk;
  if (kid === undefined || use !== 'sig' || !operations.includes('verify')) return undefined;
  const key = publicKey(jwk);
  const algorithm = SIGNING_ALGORITHMS.find((name) => name === jwk.alg);
  return key && algorithm && fits(algorithm, jwk, key) ? { id: kid, algorithm, key } : undefined;
}

function publicKey(jwk: JWK): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function fits(algorithm: SigningAlgorithm, jwk: JWK, key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
  switch (algorithm) {
    case 'ES256':
      return jwk.kty === 'EC' && jwk.crv === 'P-256';
    case 'EdDSA':
      return jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
    case 'RS256':
      return jwk.kty === 'RSA' && RSA_BITS.has(modulusLength) && publicExponent === RSA_EXPONENT;
  }
}
