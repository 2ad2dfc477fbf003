import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Limits } from './limits.ts';

const DECOMPRESS = { gzip: gunzipSync, deflate: inflateSync, br: brotliDecompressSync };

const OUTPUT_BYTES = 16 * 1024;
/** zlib's own minimum. */
const OUTPUT_LEAST = 64;
/** An empty gzip member. */
const GZIP_LEAST = 20;

/** What it takes to decompress any message, beside the message. */
export const UNZIP_BYTES = 4 * 1024;

/** The compressions that messages may have. */
export type Zip = keyof typeof DECOMPRESS;

/**
 * What a call whose messages are compressed may take (bytes) for a few that are sent. It counts before
 * any of them is read: once it is decompressed, the memory is taken.
 */
export function unzippedBytes(encoding: string | undefined, { maxMessageBytes }: Limits): number {
  return encoding === undefined || encoding === 'identity' ? 0 : maxMessageBytes;
}

/**
 * Decompresses a message without leaving the turn of the event loop. While a message waits for one of
 * node's threads it takes hundreds of times the memory of its bytes, and nothing bounds how many wait
 * (W15). One of at most 64 KiB takes less than a millisecond.
 *
 * Throws what libraries throw for a message that is too large, or that can't be read.
 */
export function unzip(zip: Zip, bytes: Uint8Array, maxBytes: number): Buffer<ArrayBuffer> {
  try {
    const options = { maxOutputLength: maxBytes, chunkSize: outputBytes(zip, bytes, maxBytes) };
    return DECOMPRESS[zip](bytes, options);
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const code = isTooLarge ? Code.ResourceExhausted : Code.InvalidArgument;
    throw new ConnectError('decompression failed', code, undefined, undefined, error);
  }
}

/** The size of the buffer to decompress into: one that is too small is followed by another, and a copy. */
function outputBytes(zip: Zip, bytes: Uint8Array, maxBytes: number): number {
  if (zip !== 'gzip' || bytes.length < GZIP_LEAST) return OUTPUT_BYTES;
  // A gzip member ends with its size, RFC 1952 section 2.3.1. A full buffer would be followed by another.
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4, true) + 1;
  return Math.max(OUTPUT_LEAST, Math.min(size, maxBytes + 1));
}
