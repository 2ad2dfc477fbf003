import { unzip, type Zip } from '../unzip.ts';

/** One byte says whether the message is compressed, and four say how long it is. */
export const PREFIX_BYTES = 5;
const PLAIN = 0;
const COMPRESSED = 1;

const ZIPS: ReadonlyMap<unknown, Zip> = new Map([
  ['gzip', 'gzip'],
  ['deflate', 'deflate'],
]);

/** How the messages of a call may be compressed, by its `grpc-encoding`. */
export function zipOf(encoding: unknown): Zip | undefined {
  return ZIPS.get(encoding);
}

/** The length that a message claims to have; 0 if its prefix is not complete. */
export function declaredBytes(request: Buffer): number {
  return request.length < PREFIX_BYTES ? 0 : request.readUInt32BE(1);
}

/** Whether a request holds one message that can be read, and nothing else. */
export function isOneMessage(request: Buffer, zip: Zip | undefined): boolean {
  const isOnly = request.length === PREFIX_BYTES + declaredBytes(request);
  return isOnly && hasKnownFlags(request, zip);
}

/**
 * Whether the flags of a message are known to the protocol, and it is not said to be compressed in a call
 * that does not say how (`zip`).
 */
export function hasKnownFlags(frame: Buffer, zip: Zip | undefined): boolean {
  return frame[0] === PLAIN || (frame[0] === COMPRESSED && zip !== undefined);
}

/** The message behind a prefix, as it was before it was compressed: up to `maxBytes`. */
export function unframed(frame: Buffer, zip?: Zip, maxBytes = Number.POSITIVE_INFINITY): Buffer {
  const message = frame.subarray(PREFIX_BYTES);
  return zip && frame[0] === COMPRESSED ? unzip(zip, message, maxBytes) : message;
}

/** A message with its prefix. */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = PLAIN;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, PREFIX_BYTES);
  return frame;
}
