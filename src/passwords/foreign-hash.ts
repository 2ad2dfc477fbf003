import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import bcrypt from 'bcrypt';

const derivePbkdf2 = promisify(pbkdf2);
const deriveScrypt = promisify<string, Buffer, number, object, Buffer>(scrypt);

/** Checks a password, exactly as given, against one hash. */
export type Check = (password: string) => Promise<boolean>;

/** The binary logarithm of the rounds; 2^14 rounds take about a second. */
const MAX_BCRYPT_COST = 14;
/** What scrypt allocates: 128·N·r bytes. */
const MAX_SCRYPT_BYTES = 256 * 1024 * 1024;
/** N·r·p: four times OWASP's highest recommendation, which takes about a second and a half. */
const MAX_SCRYPT_WORK = 2 ** 22;
/** Iterations times blocks of output: about a second and a half of SHA-512. */
const MAX_PBKDF2_WORK = 3_000_000;
/** In bytes. Shorter ones could match by chance; no program makes longer ones. */
const DERIVED = { min: 16, max: 64 };
const SALT = { min: 4, max: 64 };
const DIGESTS: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha512: 64 };

/** The last characters of salt and hash have four and two bits to spare, which are zero. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$/;
const BASE64 = '([A-Za-z0-9+/.]{1,88})={0,2}';
const SCRYPT = new RegExp(
  `^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,3}),p=(\\d{1,3})\\$${BASE64}\\$${BASE64}$`,
);
/** PHC writes `i=29000,l=32`; passlib writes `29000`, and `pbkdf2` instead of `pbkdf2-sha1`. */
const PBKDF2 = new RegExp(
  `^\\$pbkdf2(?:-(sha1|sha256|sha512))?\\$(?:i=)?(\\d{1,8})(?:,l=(\\d{1,3}))?\\$${BASE64}\\$${BASE64}$`,
);
/** Django's salt is text, not base64. */
const DJANGO = new RegExp(`^pbkdf2_(sha1|sha256)\\$(\\d{1,8})\\$([^$]{1,64})\\$${BASE64}$`);

/**
 * Returns the check for a hash that another program made: bcrypt (`$2a$`, `$2b$`, `$2y$`), or scrypt
 * (RFC 7914) or PBKDF2 (RFC 8018) as a PHC string, in passlib's spelling or in Django's. Undefined if
 * the hash is none of these, or would take more than about a second and a half to check.
 */
export function foreignCheck(text: string): Check | undefined {
  return bcryptCheck(text) ?? scryptCheck(text) ?? pbkdf2Check(text) ?? djangoCheck(text);
}

/**
 * bcrypt reads 72 bytes of a password: the rest never counted in the other program, and does not count
 * here. A NUL ends the password in some programs but not in others, so a password with one never
 * matches.
 */
function bcryptCheck(text: string): Check | undefined {
  const cost = Number(BCRYPT.exec(text)?.[1] ?? Number.NaN);
  if (!(cost >= 4 && cost <= MAX_BCRYPT_COST)) return undefined;
  // The three names tell apart bugs that were fixed long ago; the library knows two of them.
  const hash = text.replace(/^\$2y/, '$2b');
  return async (password) => !password.includes('\0') && bcrypt.compare(password, hash);
}

function scryptCheck(text: string): Check | undefined {
  const [, ln, r, p, salt, hash] = SCRYPT.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  const cost = { N: 2 ** Number(ln), r: Number(r), p: Number(p) };
  const bytes = 128 * cost.N * cost.r;
  const work = cost.N * cost.r * cost.p;
  // RFC 7914, section 2: N is less than 2^(128·r/8), and OpenSSL takes no other.
  const isAllowed = cost.N >= 2 && Number(ln) < 16 * cost.r && work > 0;
  if (!isAllowed || bytes > MAX_SCRYPT_BYTES || work > MAX_SCRYPT_WORK) return undefined;
  // Twice the memory leaves room for the p blocks in addition to the large one.
  const options = { ...cost, maxmem: 2 * bytes + 1024 * cost.r * cost.p };
  if (!isBase64(salt) || !isBase64(hash)) return undefined;
  return comparison(decode(salt), decode(hash), (password, saltBytes, length) =>
    deriveScrypt(password, saltBytes, length, options),
  );
}

function pbkdf2Check(text: string): Check | undefined {
  const [, digest = 'sha1', iterations, length, salt, hash] = PBKDF2.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  if (!isBase64(salt) || !isBase64(hash)) return undefined;
  const derived = decode(hash);
  if (length !== undefined && Number(length) !== derived.byteLength) return undefined;
  return pbkdf2Comparison(digest, Number(iterations), decode(salt), derived);
}

function djangoCheck(text: string): Check | undefined {
  const [, digest, iterations, salt, hash] = DJANGO.exec(text) ?? [];
  if (digest === undefined || salt === undefined || hash === undefined) return undefined;
  if (!isBase64(hash)) return undefined;
  return pbkdf2Comparison(digest, Number(iterations), Buffer.from(salt), decode(hash));
}

function pbkdf2Comparison(
  digest: string,
  iterations: number,
  salt: Buffer,
  hash: Buffer,
): Check | undefined {
  const blocks = Math.ceil(hash.byteLength / (DIGESTS[digest] ?? 1));
  if (iterations < 1 || iterations * blocks > MAX_PBKDF2_WORK) return undefined;
  return comparison(salt, hash, (password, saltBytes, length) =>
    derivePbkdf2(password, saltBytes, iterations, length, digest),
  );
}

function comparison(
  salt: Buffer,
  hash: Buffer,
  derive: (password: string, salt: Buffer, length: number) => Promise<Buffer>,
): Check | undefined {
  if (!within(SALT, salt.byteLength) || !within(DERIVED, hash.byteLength)) return undefined;
  return async (password) => timingSafeEqual(await derive(password, salt, hash.byteLength), hash);
}

function within({ min, max }: { min: number; max: number }, n: number): boolean {
  return n >= min && n <= max;
}

/**
 * Whether a text is whole base64, of which no bit is left over: libraries differ on whether they take
 * any other.
 */
export function isBase64(text: string): boolean {
  return decode(text).toString('base64').replace(/=+$/, '') === text.replaceAll('.', '+');
}

/** Base64 without padding, in which passlib writes `.` for `+`. */
function decode(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}
