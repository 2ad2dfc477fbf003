import { randomBytes } from 'node:crypto';
import { equalInConstantTime, type Keyring, packUuid, unpackUuid } from '../platform/crypto.ts';

const PREFIX = 'csr_';
const HEADER_BYTES = 5;
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const BODY_BYTES = HEADER_BYTES + SECRET_BYTES + TAG_BYTES;

/**
 * One generation of a session's refresh token: `csr_<session>.<body>`, the body being the key
 * version (1 byte), the generation (4 bytes), the secret (32 bytes) and a tag (16 bytes) in
 * base64url.
 *
 * The tag is a MAC over all of it, under a key that only the service holds. It proves without the
 * database that the service issued this generation: a guess costs nothing, and an old generation is
 * distinguished from a guess. It grants nothing: the live secret is compared with its keyed hash.
 */
export type RefreshSecret = {
  sessionId: string;
  generation: number;
  keyVersion: number;
  secret: Buffer;
};

/** The first generation of a new session. */
export function firstRefreshSecret(keyring: Keyring, sessionId: string): RefreshSecret {
  return {
    sessionId,
    generation: 0,
    keyVersion: keyring.current,
    secret: randomBytes(SECRET_BYTES),
  };
}

/**
 * The generation after this one. It is derived (HKDF, RFC 5869) from the presented secret and a key
 * of the service: the same on every replica and retry, and unknown to anyone who holds only one of
 * the two.
 */
export function successorOf(
  keyring: Keyring,
  from: RefreshSecret,
  keyVersion = keyring.current,
): RefreshSecret {
  return {
    sessionId: from.sessionId,
    generation: from.generation + 1,
    keyVersion,
    secret: keyring.derive('refresh-token/successor', from.secret, keyVersion),
  };
}

/** What the database keeps of the live generation: HMAC-SHA-256 under the token's key version. */
export function refreshHash(keyring: Keyring, token: RefreshSecret): Buffer {
  return keyring.mac('refresh-token/hash', token.secret, token.keyVersion);
}

/** The text that the client receives. */
export function formatRefreshToken(keyring: Keyring, token: RefreshSecret): string {
  const body = Buffer.concat([header(token), token.secret, tag(keyring, token)]);
  return `${PREFIX}${packUuid(token.sessionId)}.${body.toString('base64url')}`;
}

/**
 * The token that a text stands for, or undefined if the service did not issue it. Needs no database.
 */
export function parseRefreshToken(keyring: Keyring, text: string): RefreshSecret | undefined {
  const [, packed = '', encoded = ''] = /^csr_([\w-]{22})\.([\w-]{71})$/.exec(text) ?? [];
  const sessionId = unpackUuid(packed);
  const body = Buffer.from(encoded, 'base64url');
  if (sessionId === undefined || body.length !== BODY_BYTES) return undefined;
  // A token has one spelling: the spare bits of its last character must be zero.
  if (body.toString('base64url') !== encoded) return undefined;
  const token = {
    sessionId,
    keyVersion: body.readUInt8(0),
    generation: body.readUInt32BE(1),
    secret: body.subarray(HEADER_BYTES, HEADER_BYTES + SECRET_BYTES),
  };
  if (!keyring.has(token.keyVersion)) return undefined;
  const presentedTag = body.subarray(HEADER_BYTES + SECRET_BYTES);
  return equalInConstantTime(presentedTag, tag(keyring, token)) ? token : undefined;
}

function header(token: RefreshSecret): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(token.keyVersion, 0);
  bytes.writeUInt32BE(token.generation, 1);
  return bytes;
}

function tag(keyring: Keyring, token: RefreshSecret): Buffer {
  const data = Buffer.concat([Buffer.from(token.sessionId), header(token), token.secret]);
  return keyring.mac('refresh-token/tag', data, token.keyVersion).subarray(0, TAG_BYTES);
}
