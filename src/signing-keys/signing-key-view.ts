import type { JWK } from 'jose';
import type { RevokedSigningKey } from './revoked-signing-key.entity.ts';
import { leavesAt, readyAt } from './schedule.ts';
import type { SigningKey, SigningKeyState } from './signing-key.entity.ts';

/** A key as operators see it, without its private half. */
export type SigningKeyView = {
  keyId: string;
  algorithm: string;
  state: SigningKeyState | 'revoked';
  publicJwk: JWK;
  createdAt: Date;
  /** Of a next key: when it may begin to sign. */
  readyAt?: Date;
  activatedAt?: Date;
  retiredAt?: Date;
  /** Of a retired key: when it stops being published. */
  leavesJwksAt?: Date;
  revokedAt?: Date;
  revocationReason?: string;
};

/** A public key as it is published (RFC 7517), with its id, algorithm and use. */
export function publishedJwk(
  key: Pick<SigningKey, 'id' | 'algorithm' | 'publicJwk'>,
): JWK & { kid: string } {
  return { ...key.publicJwk, kid: key.id, alg: key.algorithm, use: 'sig' };
}

export function viewOf(key: SigningKey, accessTokenTtlMs: number): SigningKeyView {
  const { state, retiredAt } = key;
  return {
    ...common(key),
    state,
    ...(state === 'next' && { readyAt: readyAt(key) }),
    ...(retiredAt && { leavesJwksAt: leavesAt(retiredAt, accessTokenTtlMs) }),
  };
}

export function viewOfRevoked(key: RevokedSigningKey): SigningKeyView {
  const { revokedAt, reason } = key;
  return { ...common(key), state: 'revoked', revokedAt, revocationReason: reason };
}

function common(key: SigningKey | RevokedSigningKey) {
  const { id, algorithm, createdAt, activatedAt, retiredAt } = key;
  return {
    keyId: id,
    algorithm,
    publicJwk: publishedJwk(key),
    createdAt,
    ...(activatedAt && { activatedAt }),
    ...(retiredAt && { retiredAt }),
  };
}
