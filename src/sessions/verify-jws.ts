import { compactVerify, decodeProtectedHeader, errors, type JWSHeaderParameters } from 'jose';
import type { VerificationKey } from '../signing-keys/verification-key.ts';

/** The protected header of a JWS, not yet verified, or undefined if there is none. */
export function jwsHeader(jws: string): JWSHeaderParameters | undefined {
  try {
    return decodeProtectedHeader(jws);
  } catch {
    return undefined;
  }
}

/**
 * Returns the payload of a JWS in compact form (RFC 7515) if this key signed it, else undefined.
 *
 * The key decides the algorithm, never the token. No header field leads to a key or carries one. A
 * header that names a critical extension is refused, since none is supported (section 4.1.11).
 */
export async function verifyJws(
  jws: string,
  { key, algorithm }: VerificationKey,
): Promise<Uint8Array | undefined> {
  if (jwsHeader(jws)?.crit !== undefined || !isOneText(jws)) return undefined;
  try {
    return (await compactVerify(jws, key, { algorithms: [algorithm] })).payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/**
 * Whether the signature is in its only valid spelling: the spare bits are zero (RFC 4648, section
 * 3.5).
 */
function isOneText(jws: string): boolean {
  const signature = jws.slice(jws.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}
