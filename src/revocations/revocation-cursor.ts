const VERSION = 1;
const BYTES = 9;

/**
 * A place in the feed, opaque to readers: a byte for the version, and microseconds since 1970 by the
 * database's clock. It says the same to every replica.
 */
export function formatCursor(micros: number): string {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeBigUInt64BE(BigInt(micros), 1);
  return bytes.toString('base64url');
}

/** The microseconds of a cursor; undefined where it is none of ours. */
export function parseCursor(text: string): number | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== BYTES || bytes[0] !== VERSION) return undefined;
  // Decoding takes more than encoding makes: another alphabet, whatever follows.
  if (bytes.toString('base64url') !== text) return undefined;
  const micros = Number(bytes.readBigUInt64BE(1));
  return Number.isSafeInteger(micros) ? micros : undefined;
}
