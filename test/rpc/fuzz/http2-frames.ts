import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../frames.ts';
import type { Random } from './random.ts';

export const PRIORITY = 2;
const PADDED = 8;
const WITH_PRIORITY = 0x20;

const STREAMS = [0, 1, 2, 3, 5, 7, 99, 0x7fffffff, 0x80000001];
const NUMBERS = [0, 1, 2, 100, 0x3fff, 0x4000, 0xffff, 0xffffff, 0x1000000, 0x7fffffff, 0xffffffff];
/** All that RFC 9113, 8441 and 9218 define, and some that nobody does. */
const SETTING_IDS = [0, 1, 2, 3, 4, 5, 6, 8, 9, 0x0a0a, 0xffff];

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** A frame that is mostly well formed, of any type, for any stream. */
export function anyFrame(random: Random): Buffer {
  const make = random.pick([
    () => settings(random),
    () => windowUpdate(random),
    () => frame(PING, random.below(2), oddStream(random, 0), random.bytes(oddLength(random, 8))),
    () => frame(RST_STREAM, 0, oddStream(random, 1), random.bytes(oddLength(random, 4))),
    () => frame(PRIORITY, 0, oddStream(random, 1), random.bytes(oddLength(random, 5))),
    () => frame(GOAWAY, 0, oddStream(random, 0), random.bytes(random.between(0, 20))),
    () => frame(DATA, random.below(256), oddStream(random, 1), random.bytes(random.below(50))),
    () => frame(HEADERS, random.below(256), oddStream(random, 1), random.bytes(random.below(50))),
    () => frame(CONTINUATION, END_HEADERS, oddStream(random, 1), random.bytes(random.below(20))),
    () => unknownFrame(random),
  ]);
  return oddly(random, make());
}

/** PUSH_PROMISE, which only servers send, ALTSVC, ORIGIN, PRIORITY_UPDATE, and types of nobody. */
function unknownFrame(random: Random): Buffer {
  const type = random.pick([5, 0x0a, 0x0c, 0x10, 0x0b, 0x42, 0xff]);
  return frame(type, random.below(256), random.pick(STREAMS), random.bytes(random.below(40)));
}

export function settings(random: Random): Buffer {
  const pairs = random.times(random.below(4), () => {
    const id = Buffer.alloc(2);
    id.writeUInt16BE(random.pick(SETTING_IDS));
    return Buffer.concat([id, uint32(random.pick(NUMBERS))]);
  });
  const flags = random.chance(0.9) ? 0 : 1;
  return frame(SETTINGS, flags, oddStream(random, 0), Buffer.concat(pairs));
}

function windowUpdate(random: Random): Buffer {
  const by = random.chance(0.5) ? random.pick(NUMBERS) : random.between(1, 100_000);
  return frame(WINDOW_UPDATE, 0, random.pick([0, 0, 1, 1, 3, 2, 99]), uint32(by));
}

function oddStream(random: Random, usual: number): number {
  return random.chance(0.8) ? usual : random.pick(STREAMS);
}

function oddLength(random: Random, usual: number): number {
  return random.chance(0.8) ? usual : random.below(20);
}

/** One frame in fifty is damaged: its length, type, flags, stream or content. */
export function oddly(random: Random, whole: Buffer): Buffer {
  if (random.chance(0.98)) return whole;
  const bytes = Buffer.from(whole);
  const damage = random.pick([
    () => bytes.writeUIntBE(random.pick([0, 1, 8, 16_384, 16_385, 0xffffff]), 0, 3),
    () => bytes.writeUInt8(random.below(16), 3),
    () => bytes.writeUInt8(random.below(256), 4),
    () => bytes.writeUInt32BE(random.pick(STREAMS), 5),
    () => bytes.writeUInt8(random.below(256), random.below(bytes.length)),
  ]);
  damage();
  return random.chance(0.9) ? bytes : bytes.subarray(0, random.below(bytes.length));
}

/** A header block as HEADERS and CONTINUATION, padded and with a priority at times. */
export function headerFrames(random: Random, stream: number, block: Buffer, flags = 0): Buffer {
  const [first = block, ...more] = random.chance(0.8)
    ? [block]
    : random.pieces(block, random.between(2, 5));
  const last = more.length === 0 ? END_HEADERS : 0;
  return Buffer.concat([
    dressed(random, HEADERS, flags | last, stream, first),
    ...more.map((piece, i) =>
      frame(CONTINUATION, i === more.length - 1 ? END_HEADERS : 0, stream, piece),
    ),
  ]);
}

/** A body as DATA frames, the last of which ends the stream if it ends at all. */
export function dataFrames(
  random: Random,
  body: Buffer,
  ends: boolean,
): ((stream: number) => Buffer)[] {
  const pieces = random.pieces(body, random.chance(0.6) ? 1 : random.between(2, 6));
  const chunks = pieces.flatMap((piece) =>
    random.times(Math.max(Math.ceil(piece.length / 16_000), 1), (i) =>
      piece.subarray(i * 16_000, (i + 1) * 16_000),
    ),
  );
  return chunks.map((chunk, i) => (stream) => {
    const isLast = ends && i === chunks.length - 1;
    return dressed(random, DATA, isLast ? END_STREAM : 0, stream, chunk);
  });
}

/** With padding or a priority, right or wrong, where the type has them. */
function dressed(
  random: Random,
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
): Buffer {
  const priority = type === HEADERS && random.chance(0.1);
  const padded = random.chance(0.1);
  const padding = padded ? random.below(50) : 0;
  const named = random.chance(0.95) ? padding : random.below(256);
  const all = Buffer.concat([
    padded ? Buffer.from([named]) : Buffer.alloc(0),
    priority ? random.bytes(5) : Buffer.alloc(0),
    payload,
    Buffer.alloc(padding),
  ]);
  return frame(type, flags | (padded ? PADDED : 0) | (priority ? WITH_PRIORITY : 0), stream, all);
}
