/** The length of a message's prefix: a byte for compression, and four for the message's length. */
export const PREFIX_BYTES = 5;

/** Returns a message as gRPC sends it: uncompressed, after its prefix. */
export function framed(message: Uint8Array): Buffer {
  const header = Buffer.alloc(PREFIX_BYTES);
  header.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([header, message]);
}
