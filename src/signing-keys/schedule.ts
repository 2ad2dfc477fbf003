import { addMs } from '../platform/clock.ts';
import type { SigningKey } from './signing-key.entity.ts';

/** Envoy and Istio cache a JWKS for up to 20 minutes, so a key is public that long before it signs. */
const CACHED_MS = 20 * 60_000;
/**
 * How much longer than the life of a token its key stays: clocks differ, and replicas follow a little
 * late.
 */
const MARGIN_MS = 5 * 60_000;

/** When every cache has a next key, so that it may sign. */
export function readyAt({ createdAt }: Pick<SigningKey, 'createdAt'>): Date {
  return addMs(createdAt, CACHED_MS);
}

/** When the last token of a key that was retired at `retiredAt` has expired. */
export function leavesAt(retiredAt: Date, accessTokenTtlMs: number): Date {
  return addMs(retiredAt, accessTokenTtlMs + MARGIN_MS);
}

/**
 * How long (ms) the revocation of a key stays on record. Tokens forged with it may carry any expiry, so
 * theirs does not matter: verifiers may have fetched the key set just before from a cache, and keep it
 * for another 20 minutes.
 */
export function revocationKeptMs(accessTokenTtlMs: number): number {
  return CACHED_MS + MARGIN_MS + accessTokenTtlMs;
}
