/** One byte says whether the message is compressed, and four say how long it is. */
export const PREFIX_BYTES = 5;

/** The length that a message claims to have; 0 if its prefix is not complete. */
export function declaredBytes(request: Buffer): number {
  return request.length < PREFIX_BYTES ? 0 : request.readUInt32BE(1);
}

/** The message in a request that holds one message, not compressed, and nothing else. */
export function onlyMessage(request: Buffer): Buffer | undefined {
  const isOnly = request[0] === 0 && request.length === PREFIX_BYTES + declaredBytes(request);
  return isOnly ? request.subarray(PREFIX_BYTES) : undefined;
}

/** A message with its prefix. */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, PREFIX_BYTES);
  return frame;
}
