import { compactVerify, decodeProtectedHeader, errors, type JWSHeaderParameters } from 'jose';
import type { VerificationKey } from '../signing-keys/verification-key.ts';

/** The protected header of a JWS, which nobody has verified yet, or undefined where there is none. */
export function jwsHeader(jws: string): JWSHeaderParameters | undefined {
  try {
    return decodeProtectedHeader(jws);
  } catch {
    return undefined;
  }
}

/**
 * The payload of a JWS in compact form (RFC 7515) that this key signed, or undefined.
 *
 * The key decides the algorithm, never the token. Nothing in the header finds or brings a key, and a
 * header that names a critical extension is refused, since we know none (section 4.1.11).
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

/** Whether the signature has no other spelling: RFC 4648, section 3.5, on bits that mean nothing. */
function isOneText(jws: string): boolean {
  const signature = jws.slice(jws.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}
