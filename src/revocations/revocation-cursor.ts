const VERSION = 1;
const BYTES = 9;

/**
 * A place in the feed, opaque to readers: a byte for the version, and microseconds since 1970 by the
 * database's clock. It means the same to every replica.
 */
export function formatCursor(micros: number): string {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeBigUInt64BE(BigInt(micros), 1);
  return bytes.toString('base64url');
}

/** The microseconds of a cursor, or undefined if it is malformed. */
export function parseCursor(text: string): number | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== BYTES || bytes[0] !== VERSION) return undefined;
  // Decoding is lenient: only the spelling that encoding yields is accepted.
  if (bytes.toString('base64url') !== text) return undefined;
  const micros = Number(bytes.readBigUInt64BE(1));
  return Number.isSafeInteger(micros) ? micros : undefined;
}
