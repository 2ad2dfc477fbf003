import type { ChainPlace } from './chain-ends.ts';

const VERSION = 1;
const POSITION_AT = 1;
const HASH_AT = 9;
const HASH_BYTES = 8;

/**
 * A place in the chain, opaque to readers: a byte for the version, the position, and the first bytes of
 * the hash there. The hash reveals a chain that was restored to an earlier state and has grown again.
 */
export function formatCursor({ position, hash }: ChainPlace): string {
  const bytes = Buffer.alloc(HASH_AT + HASH_BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeBigUInt64BE(BigInt(position), POSITION_AT);
  bytes.write(hash, HASH_AT, HASH_BYTES, 'hex');
  return bytes.toString('base64url');
}

/**
 * The position and the first bytes (hex) of the hash, or undefined if the text is no cursor of ours.
 */
export function parseCursor(text: string): { position: number; hashPrefix: string } | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== HASH_AT + HASH_BYTES || bytes[0] !== VERSION) return undefined;
  // Decoding also accepts what encoding never produces: another alphabet, trailing characters.
  if (bytes.toString('base64url') !== text) return undefined;
  const position = Number(bytes.readBigUInt64BE(POSITION_AT));
  if (!Number.isSafeInteger(position)) return undefined;
  return { position, hashPrefix: bytes.toString('hex', HASH_AT) };
}
