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

/** The id of the key that a text names, or what is wrong with the text. */
export type ParsedSecret = { keyId: string } | 'not a secret' | 'mistyped';

/**
 * Makes a secret for a key: `csk_`, the key's id (22), 32 random characters and a checksum (6), all in
 * base 62: 64 characters that a double click selects as one word. The checksum is the CRC-32 (zlib) of
 * what comes before it. It protects nothing: it tells a secret from a text that merely looks like one.
 */
export function newSecret(keyId: string): string {
  const body = `${secretPrefix(keyId)}${randomText(RANDOM_LENGTH)}`;
  return `${body}${checksum(body)}`;
}

/** How the secrets of a key begin. */
export function secretPrefix(keyId: string): string {
  return `${PREFIX}${inBase62(BigInt(`0x${keyId.replaceAll('-', '')}`), ID_LENGTH)}`;
}

/** Reads which key a text claims to be a secret of, without verifying that it is. */
export function parseSecret(text: string): ParsedSecret {
  if (!FORM.test(text)) return 'not a secret';
  const body = text.slice(0, -CHECKSUM_LENGTH);
  if (checksum(body) !== text.slice(-CHECKSUM_LENGTH)) return 'mistyped';
  const keyId = uuidOf(text.slice(PREFIX.length, PREFIX.length + ID_LENGTH));
  return keyId === undefined ? 'not a secret' : { keyId };
}

/** The keyed hash under which a secret is stored. */
export function hashSecret(
  keyring: Keyring,
  secret: string,
  keyVersion = keyring.current,
): SecretHash {
  return { hash: keyring.mac('api-key/hash', secret, keyVersion), keyVersion };
}

/**
 * Whether this is the secret that was hashed; compares in constant time. False if the service no longer
 * has the master key of the hash.
 */
export function isSecretOf(keyring: Keyring, secret: string, kept: SecretHash): boolean {
  if (!keyring.has(kept.keyVersion)) return false;
  return equalInConstantTime(hashSecret(keyring, secret, kept.keyVersion).hash, kept.hash);
}

function checksum(body: string): string {
  return inBase62(BigInt(crc32(body)), CHECKSUM_LENGTH);
}

/** The digits of a number, most significant first, padded with zeros. */
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
  // 248 is the greatest multiple of 62 in a byte: below it, all characters are equally likely.
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}
