import { type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { SigningAlgorithm } from '../signing-keys/signing-key.entity.ts';

const signInThread = promisify(sign) as (
  digest: string | null,
  data: Buffer,
  key: KeyObject,
) => Promise<Buffer>;

/**
 * How signatures are written in a JWS. It is a property of the key, since node takes as long as signing to
 * find out, by an exception, that an object which holds both is no key.
 */
const IN_JWS = { dsaEncoding: 'ieee-p1363' } as const;

/**
 * Signs a JSON payload as a JWS in compact form (RFC 7515, section 7.1), with the algorithms of RFC
 * 7518, section 3, and RFC 8037, section 3.1.
 *
 * Elliptic curves sign on the main thread, in 30 µs: handing that to another thread, as WebCrypto
 * does, costs more than the signature. RSA takes a millisecond, and goes to another thread.
 */
export async function signJws(
  header: { alg: SigningAlgorithm; typ: string; kid: string },
  payload: Readonly<Record<string, unknown>>,
  key: KeyObject,
): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const signature = await signatureOf(header.alg, Buffer.from(input), key);
  return `${input}.${signature.toString('base64url')}`;
}

function signatureOf(
  algorithm: SigningAlgorithm,
  data: Buffer,
  key: KeyObject,
): Buffer | Promise<Buffer> {
  switch (algorithm) {
    case 'ES256':
      return sign('sha256', data, Object.assign(key, IN_JWS));
    case 'EdDSA':
      return sign(null, data, key);
    case 'RS256':
      return signInThread('sha256', data, key);
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
