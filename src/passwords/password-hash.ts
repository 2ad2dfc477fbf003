import { hash as hashArgon2id, verify as verifyArgon2id } from '@node-rs/argon2';
import argon2 from 'argon2';
import { type Check, foreignCheck, isBase64 } from './foreign-hash.ts';

/** `memoryCost` is in KiB, `timeCost` in passes. */
export type Argon2Settings = { memoryCost: number; timeCost: number };

/** The parameters may come in any order: libraries differ from the reference implementation. */
const ARGON2 =
  /^\$argon2(id|i|d)(?:\$v=(16|19))?\$([mtp]=[1-9]\d{0,7}(?:,[mtp]=[1-9]\d{0,7}){2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$/;
/** What `hashPassword` makes; earlier versions wrote the parameters in another order. */
const OURS =
  /^\$argon2id\$v=19\$m=\d+,(?:t=\d+,p=1|p=1,t=\d+)\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/;
/** In KiB: as much as is allowed for scrypt. */
const MAX_MEMORY = 256 * 1024;
/** In KiB that are written, over all passes: a GiB takes about a second. */
const MAX_WORK = 1024 * 1024;
/** Each lane is four threads a pass, each of which takes as long to start as writing 64 KiB. */
const LANE_WORK = 4 * 64;
const MAX_LANES = 16;

/**
 * Whether sign-ins can check an imported hash, in about a second and a half and 256 MiB at most: Argon2
 * (RFC 9106) in every variant, bcrypt, scrypt or PBKDF2. See `foreignCheck` for how they are written.
 */
export function isSupportedHash(text: string): boolean {
  return isAffordableArgon2(text) || foreignCheck(text) !== undefined;
}

/** Hashes a password, normalised by NFKC, to an argon2id PHC string. */
export function hashPassword(password: string, settings: Argon2Settings): Promise<string> {
  return hashArgon2id(bytesOf(normalise(password)), { parallelism: 1, ...settings });
}

/**
 * Whether the password is the one that was hashed; undefined if the hash is of no kind that can be
 * checked. The password is tried normalised, as our own hashes are made, and if it is not normal also as
 * typed, since another program may not normalise. That is so for every hash, so that the time does not
 * tell which are from elsewhere (C04). Hashes of our own form are checked at any cost: we made them,
 * perhaps with higher settings than today's.
 */
export async function matchesHash(password: string, hash: string): Promise<boolean | undefined> {
  const check = checkOf(hash);
  if (!check) return undefined;
  const normalised = normalise(password);
  const matches = await check(normalised);
  if (checksOf(password) === 1) return matches;
  const matchesAsTyped = await check(password);
  return matches || matchesAsTyped;
}

/** How often `matchesHash` checks this password, whatever the hash. */
export function checksOf(password: string): number {
  return password === normalise(password) ? 1 : 2;
}

/** Whether `hashPassword` would make a hash of another kind or cost with these settings. */
export function needsRehash(hash: string, { memoryCost, timeCost }: Argon2Settings): boolean {
  const found = parseArgon2(hash);
  if (found?.type !== 'id' || found.version !== '19') return true;
  return found.memory !== memoryCost || found.passes !== timeCost || found.lanes !== 1;
}

/**
 * Our own kind of hash is checked by a library with code for the processor at hand, in half the time
 * (docs/decisions/0009-passwords.md); any other argon2 by the reference implementation, which knows
 * every form. An earlier version let in hashes that it can't afford: those are of no kind.
 */
function checkOf(hash: string): Check | undefined {
  if (!parseArgon2(hash)) return foreignCheck(hash);
  if (OURS.test(hash)) return (password) => verifyArgon2id(hash, bytesOf(password));
  return isAffordableArgon2(hash) ? (password) => argon2.verify(hash, password) : undefined;
}

/** UTF-8 with U+FFFD for lone surrogates, so that both libraries hash the same bytes. */
function bytesOf(password: string): Buffer {
  return Buffer.from(password);
}

function parseArgon2(hash: string) {
  const [, type, version, parameters = '', salt = '', derived = ''] = ARGON2.exec(hash) ?? [];
  if (!isBase64(salt) || !isBase64(derived)) return undefined;
  const of = (name: string) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(parameters)?.[1]);
  const [memory, passes, lanes] = [of('m'), of('t'), of('p')];
  const isValid = passes >= 1 && lanes >= 1 && memory >= 8 * lanes;
  return isValid ? { type, version, memory, passes, lanes } : undefined;
}

function isAffordableArgon2(text: string): boolean {
  const found = parseArgon2(text);
  if (!found) return false;
  const { memory, passes, lanes } = found;
  const work = passes * (memory + (lanes > 1 ? LANE_WORK * lanes : 0));
  return memory <= MAX_MEMORY && work <= MAX_WORK && lanes <= MAX_LANES;
}

function normalise(password: string): string {
  return password.normalize('NFKC');
}
