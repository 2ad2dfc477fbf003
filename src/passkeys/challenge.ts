import { hash, randomBytes } from 'node:crypto';
import { addMs } from '../platform/clock.ts';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import type { Challenge } from './used-challenge.repository.ts';

export const CHALLENGE_TTL_MS = 5 * 60_000;

/** Key version (1 byte), expiry (6, milliseconds since 1970), nonce (16), MAC (32). */
const VERSION_BYTES = 1;
const EXPIRY_BYTES = 6;
/** WebAuthn section 13.4.3 asks for 16. */
const NONCE_BYTES = 16;
const MAC_BYTES = 32;
const HEAD_BYTES = VERSION_BYTES + EXPIRY_BYTES + NONCE_BYTES;

/** What a challenge is for, and whose passkey may answer; without an account, anyone's. */
export type ChallengeUse = {
  purpose: 'registration' | 'authentication';
  accountId: string | undefined;
};

/**
 * Creates a challenge for an authenticator to sign. It carries its own expiry under a MAC that is bound
 * to its use, so that nothing is stored until it is answered: anyone may ask for any number of them.
 */
export function issueChallenge(
  keyring: Keyring,
  use: ChallengeUse,
  now: Date,
): { bytes: Uint8Array<ArrayBuffer>; expiresAt: Date } {
  const expiresAt = addMs(now, CHALLENGE_TTL_MS);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(keyring.current);
  head.writeUIntBE(expiresAt.getTime(), VERSION_BYTES, EXPIRY_BYTES);
  randomBytes(NONCE_BYTES).copy(head, VERSION_BYTES + EXPIRY_BYTES);
  const mac = challengeMac(keyring, use, head, keyring.current);
  return { bytes: new Uint8Array([...head, ...mac]), expiresAt };
}

/** Reads a challenge that was made for this use. Undefined if it was not, or if it has expired. */
export function readChallenge(
  keyring: Keyring,
  presented: string,
  use: ChallengeUse,
  now: Date,
): Challenge | undefined {
  const bytes = Buffer.from(presented, 'base64url');
  // A challenge must have one spelling only, or it could be answered twice.
  if (bytes.length !== HEAD_BYTES + MAC_BYTES || bytes.toString('base64url') !== presented) {
    return undefined;
  }
  const version = bytes.readUInt8();
  if (!keyring.has(version)) return undefined;
  const head = bytes.subarray(0, HEAD_BYTES);
  const expected = challengeMac(keyring, use, head, version);
  if (!equalInConstantTime(expected, bytes.subarray(HEAD_BYTES))) return undefined;
  const expiresAt = new Date(bytes.readUIntBE(VERSION_BYTES, EXPIRY_BYTES));
  if (expiresAt <= now) return undefined;
  return { hash: hash('sha256', bytes, 'buffer'), expiresAt };
}

function challengeMac(
  keyring: Keyring,
  { purpose, accountId = '' }: ChallengeUse,
  head: Buffer,
  version: number,
): Buffer {
  const data = Buffer.concat([head, Buffer.from(accountId)]);
  return keyring.mac(`passkey-challenge/${purpose}`, data, version);
}
