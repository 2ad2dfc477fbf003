import { addMs } from '../platform/clock.ts';
import type { SigningKey } from './signing-key.entity.ts';

/** Envoy and Istio cache a JWKS for up to 20 minutes: a key is public that long before it signs. */
const CACHED_MS = 20 * 60_000;
/** How much longer than a token's life its key stays: clocks differ, and replicas follow a little later. */
const MARGIN_MS = 5 * 60_000;

/** From when every cache has a next key, so that it may sign. */
export function readyAt({ createdAt }: Pick<SigningKey, 'createdAt'>): Date {
  return addMs(createdAt, CACHED_MS);
}

/** When the last token of a key that was retired at this moment has expired. */
export function leavesAt(retiredAt: Date, accessTokenTtlMs: number): Date {
  return addMs(retiredAt, accessTokenTtlMs + MARGIN_MS);
}

/**
 * How long (ms) the revocation of a key is told. Tokens that were forged with it may say any expiry,
 * so that it is not their time that counts: verifiers who keep the key set may have asked a cache for
 * it just before, and keep it for 20 minutes after that.
 */
export function revocationKeptMs(accessTokenTtlMs: number): number {
  return CACHED_MS + MARGIN_MS + accessTokenTtlMs;
}
