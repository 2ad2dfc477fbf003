import { createReadStream } from 'node:fs';

/** How long a row may be, in bytes: as long as a message that carries one. */
export const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A line without its end. `text` is undefined if it is too long. Lines are numbered from 1. */
export type Line = { number: number; text: string | undefined };

/** A file that can't be read, and what to tell its owner. */
export class UnreadableFile extends Error {}

/**
 * Checks that a file is UTF-8 from its beginning to its end, so that nothing of it is imported if it is
 * not. Throws `UnreadableFile`.
 */
export async function requireUtf8(path: string): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let position = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    if (position === 0) refuseUtf16(chunk);
    try {
      decoder.decode(chunk, { stream: true });
    } catch {
      throw notUtf8(position, position + chunk.byteLength);
    }
    position += chunk.byteLength;
  }
  try {
    decoder.decode();
  } catch {
    throw notUtf8(position, position);
  }
}

function refuseUtf16(start: Buffer): void {
  const mark = start.subarray(0, 2).toString('hex');
  if (mark !== 'fffe' && mark !== 'feff' && !start.subarray(0, 4).includes(0)) return;
  throw new UnreadableFile(
    'the file is UTF-16, and only UTF-8 can be read: convert it with `iconv -f UTF-16 -t UTF-8`',
  );
}

function notUtf8(from: number, to: number): UnreadableFile {
  return new UnreadableFile(
    `the file is not UTF-8 (between its bytes ${from} and ${to}), and only UTF-8 can be read: ` +
      'if it is Latin-1, convert it with `iconv -f LATIN1 -t UTF-8`',
  );
}

/** The lines of UTF-8 bytes, each read when it is asked for, without the byte order mark. */
export async function* textLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let number = 1;
  let parts: Buffer[] = [];
  let length = 0;
  const taken = (): Line => {
    const isTooLong = length > MAX_LINE_BYTES;
    const text = isTooLong ? undefined : Buffer.concat(parts).toString();
    const line = { number, text: number === 1 ? text?.replace(/^\ufeff/, '') : text };
    [number, parts, length] = [number + 1, [], 0];
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      length += end - from;
      if (length <= MAX_LINE_BYTES) parts.push(chunk.subarray(from, end));
      yield taken();
      from = end + 1;
    }
    length += chunk.byteLength - from;
    // A line that is too long is counted, but not kept.
    if (length <= MAX_LINE_BYTES) parts.push(chunk.subarray(from));
    else parts = [];
  }
  if (length > 0) yield taken();
}
