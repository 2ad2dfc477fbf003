import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { RecoveryCode } from './recovery-code.entity.ts';

const CODES = 10;
/** Letters and digits that nobody mistakes for each other: 32 of them, 5 bits each. */
const ALPHABET = '23456789abcdefghijkmnpqrstuvwxyz';
/** 130 bits (C06). */
const CHARACTERS = 26;
const GROUP = /.{1,5}/g;

/** Replaces an account's recovery codes. They are returned once; the database keeps keyed hashes. */
export async function replaceRecoveryCodes(
  em: EntityManager,
  { keyring }: { keyring: Keyring },
  account: string,
): Promise<string[]> {
  await em.nativeDelete(RecoveryCode, { account });
  const codes = Array.from({ length: CODES }, randomCode);
  const rows = codes.map((code) => {
    const id = uuidv7();
    const keyVersion = keyring.current;
    return { id, account, codeHash: hash(keyring, account, code, keyVersion), keyVersion };
  });
  await em.insertMany(RecoveryCode, rows);
  return codes.map((code) => code.match(GROUP)?.join('-') ?? code);
}

/**
 * Uses one of an account's recovery codes up, however it is spaced and hyphenated. Of several calls
 * with one code, exactly one gets true.
 */
export async function useRecoveryCode(
  em: EntityManager,
  { keyring }: { keyring: Keyring },
  account: string,
  presented: string,
  now: Date,
): Promise<boolean> {
  const code = presented.toLowerCase().replace(/[\s-]/g, '');
  const left = await em.find(RecoveryCode, { account, usedAt: null });
  const found = left.find(
    ({ codeHash, keyVersion }) =>
      keyring.has(keyVersion) &&
      equalInConstantTime(hash(keyring, account, code, keyVersion), codeHash),
  );
  if (!found) return false;
  const used = await em.nativeUpdate(RecoveryCode, { id: found.id, usedAt: null }, { usedAt: now });
  return used === 1;
}

function hash(keyring: Keyring, account: string, code: string, version: number): Buffer {
  return keyring.mac('recovery-code', `${account}.${code}`, version);
}

function randomCode(): string {
  return Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
