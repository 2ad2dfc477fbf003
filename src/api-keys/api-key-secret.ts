import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import type { SecretHash } from './api-key.repository.ts';

const PREFIX = 'csk_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = BigInt(ALPHABET.length);
const ID_LENGTH = 22;
/** 190 bits. */
const RANDOM_LENGTH = 32;
const CHECKSUM_LENGTH = 6;
const FORM = /^csk_[0-9A-Za-z]{60}$/;

/** How far a text has got to being a secret of ours. */
export type ParsedSecret = { keyId: string } | 'not a secret' | 'mistyped';

/**
 * A new secret for a key: `csk_`, the key's id (22), 32 random characters, and a checksum (6), all in
 * base 62: 64 characters that nothing breaks apart. The checksum is the CRC-32 (as of zlib) of all that
 * stands before it. It is no protection: it tells a scanner, or us, a secret from a text like one.
 */
export function newSecret(keyId: string): string {
  const body = `${secretPrefix(keyId)}${randomText(RANDOM_LENGTH)}`;
  return `${body}${checksum(body)}`;
}

/** How the secrets of a key begin. */
export function secretPrefix(keyId: string): string {
  return `${PREFIX}${inBase62(BigInt(`0x${keyId.replaceAll('-', '')}`), ID_LENGTH)}`;
}

/** Whose key a text would be a secret of. It says nothing of whether it is. */
export function parseSecret(text: string): ParsedSecret {
  if (!FORM.test(text)) return 'not a secret';
  const body = text.slice(0, -CHECKSUM_LENGTH);
  if (checksum(body) !== text.slice(-CHECKSUM_LENGTH)) return 'mistyped';
  const keyId = uuidOf(text.slice(PREFIX.length, PREFIX.length + ID_LENGTH));
  return keyId === undefined ? 'not a secret' : { keyId };
}

export function hashSecret(
  keyring: Keyring,
  secret: string,
  keyVersion = keyring.current,
): SecretHash {
  return { hash: keyring.mac('api-key/hash', secret, keyVersion), keyVersion };
}

/**
 * Whether this is the secret that was hashed, found out in constant time. Under a key that we are not
 * given any more, nothing is.
 */
export function isSecretOf(keyring: Keyring, secret: string, kept: SecretHash): boolean {
  if (!keyring.has(kept.keyVersion)) return false;
  return equalInConstantTime(hashSecret(keyring, secret, kept.keyVersion).hash, kept.hash);
}

function checksum(body: string): string {
  return inBase62(BigInt(crc32(body)), CHECKSUM_LENGTH);
}

/** Digits with the greatest first, filled up with zeros. */
function inBase62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= BASE) {
    text = ALPHABET.charAt(Number(rest % BASE)) + text;
  }
  return text;
}

function uuidOf(text: string): string | undefined {
  let value = 0n;
  for (const digit of text) value = value * BASE + BigInt(ALPHABET.indexOf(digit));
  const hex = value.toString(16).padStart(32, '0');
  if (hex.length > 32) return undefined;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function randomText(length: number): string {
  // 248 is the greatest multiple of 62 in a byte: each character is as likely as the others.
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}
