/** What stands before a message: whether it is compressed, and its length. */
export const PREFIX_BYTES = 5;

/** A message as gRPC sends it: uncompressed, with its length. */
export function framed(message: Uint8Array): Buffer {
  const header = Buffer.alloc(PREFIX_BYTES);
  header.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([header, message]);
}
