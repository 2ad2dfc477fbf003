import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { recoveryCodesIn } from './recovery-code.repository.ts';

const CODES = 10;
/** 32 letters and digits that no one mistakes for each other: 5 bits each. */
const ALPHABET = '23456789abcdefghijkmnpqrstuvwxyz';
/** 130 bits (C06). */
const CHARACTERS = 26;
const GROUP = /.{1,5}/g;

/** Replaces an account's recovery codes and returns them; the database keeps only keyed hashes. */
export async function replaceRecoveryCodes(
  em: EntityManager,
  keyring: Keyring,
  account: string,
): Promise<string[]> {
  const codes = Array.from({ length: CODES }, randomCode);
  const rows = codes.map((code) => {
    const id = uuidv7();
    const keyVersion = keyring.current;
    return { id, account, codeHash: hash(keyring, account, code, keyVersion), keyVersion };
  });
  await recoveryCodesIn(em).replace(account, rows);
  return codes.map((code) => code.match(GROUP)?.join('-') ?? code);
}

/**
 * Uses up one of an account's recovery codes, however it is spaced and hyphenated. Of several calls
 * with one code, exactly one returns true.
 */
export async function useRecoveryCode(
  { em, now }: Transaction,
  keyring: Keyring,
  account: string,
  presented: string,
): Promise<boolean> {
  const code = presented.toLowerCase().replace(/[\s-]/g, '');
  const codes = recoveryCodesIn(em);
  const unused = await codes.listUnused(account);
  const found = unused.find(
    ({ codeHash, keyVersion }) =>
      keyring.has(keyVersion) &&
      equalInConstantTime(hash(keyring, account, code, keyVersion), codeHash),
  );
  return found !== undefined && codes.use(found.id, now);
}

function hash(keyring: Keyring, account: string, code: string, version: number): Buffer {
  return keyring.mac('recovery-code', `${account}.${code}`, version);
}

function randomCode(): string {
  return Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
