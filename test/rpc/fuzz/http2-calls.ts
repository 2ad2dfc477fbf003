import { END_STREAM } from '../frames.ts';
import { type Listener, oddCall } from './calls.ts';
import { Encoder, type Field, type Kind, named, reference, tableSize, text } from './hpack.ts';
import { anyFrame, dataFrames, headerFrames, oddly } from './http2-frames.ts';
import type { Random } from './random.ts';
import type { Step } from './scenario.ts';

const KINDS: readonly Kind[] = ['indexed', 'indexed', 'plain', 'never'];
/** Fields that break RFC 9113 section 8, each in its own way. */
const FORBIDDEN = [
  ...[':status=200', ':protocol=websocket', ':path=/', ':x=y', ':=', 'connection=close', 'te=gzip'],
  ...['transfer-encoding=chunked', 'upgrade=h2c', 'keep-alive=x', 'proxy-connection=x', '=x'],
  ...[
    'Upper-Case=x',
    'x y=z',
    'x\0=y',
    '\u00ff=x',
    'x=a\nb',
    'x=a\0b',
    'x= a ',
    'content-length=1, 2',
  ],
].map((line): Field => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'PRI', 'post', '', 'X Y', 'TRACE'];
const AUTHORITIES = ['[', '%', 'x:99999', 'a b', '@', '?#', '', 'x'.repeat(5000)];
const SCHEMES = ['https', 'ftp', '', 'http:', '\u00ff'];

/** Some calls at once on one connection, their frames in any order, with others in between. */
export function interleavedCalls(random: Random, listener: Listener): Step[] {
  const encoder = new Encoder();
  const calls = random.times(random.between(1, 8), () => callFrames(random, listener, encoder));
  const numbers = new Map<Later[], number>();
  const steps: Step[] = [];
  while (calls.some((frames) => frames.length > 0)) {
    const frames = random.pick(calls);
    const next = frames.shift();
    if (!next) continue;
    const number = numbers.get(frames) ?? 2 * numbers.size + 1;
    numbers.set(frames, number);
    steps.push(oddly(random, next(random.chance(0.995) ? number : random.below(20))));
    if (random.chance(0.02)) steps.push(anyFrame(random));
    if (random.chance(0.05)) steps.push(random.between(0, 10));
  }
  return steps;
}

/** Made when it is sent: streams are numbered, and header blocks refer to others, in that order. */
type Later = (stream: number) => Buffer;

function callFrames(random: Random, listener: Listener, encoder: Encoder): Later[] {
  const { path, lines, body } = oddCall(random, listener);
  const fields = oddFields(random, path, lines);
  const headers =
    (of: readonly Field[], flags: number): Later =>
    (stream) =>
      headerFrames(random, stream, block(random, encoder, of), flags);
  const isBare = random.chance(0.05);
  const frames = [headers(fields, isBare ? END_STREAM : 0)];
  const hasTrailers = random.chance(0.1);
  if (!isBare) frames.push(...dataFrames(random, body, random.chance(hasTrailers ? 0.1 : 0.95)));
  if (hasTrailers) {
    const trailers: Field[] = [['x-trailer', 'yes'], ...(random.chance(0.2) ? fields : [])];
    frames.push(headers(trailers, random.chance(0.8) ? END_STREAM : 0));
  }
  // It gives up or is cut off.
  return random.chance(0.1) ? frames.slice(0, random.between(1, frames.length)) : frames;
}

function oddFields(random: Random, path: string, lines: readonly Field[]): Field[] {
  const or = (usual: string, others: readonly string[]) =>
    random.chance(0.98) ? usual : random.pick(others);
  const fields: Field[] = [
    [':method', or('POST', METHODS)],
    [':scheme', or('http', SCHEMES)],
    [':path', path],
    [':authority', or('localhost', AUTHORITIES)],
    ...lines,
  ];
  if (random.chance(0.9)) return fields;
  const place = random.below(fields.length);
  random.pick([
    () => fields.splice(place, 1),
    () => fields.push(random.pick(fields)),
    () => fields.splice(place, 0, random.pick(FORBIDDEN)),
    () => fields.push(...random.times(random.between(50, 150), (i): Field => [`x-${i}`, 'y'])),
    () => fields.reverse(),
  ])();
  return fields;
}

function block(random: Random, encoder: Encoder, fields: readonly Field[]): Buffer {
  const parts = fields.map((field) => encoder.field(field, random.pick(KINDS)));
  if (random.chance(0.01)) parts.splice(random.below(parts.length), 0, oddInstruction(random));
  return Buffer.concat(parts);
}

/** What no encoder writes: places that are empty, numbers and strings without end, false Huffman. */
export function oddInstruction(random: Random): Buffer {
  return random.pick([
    () => reference(0),
    () => reference(random.between(62, 200)),
    () => reference(2 ** 31),
    () => tableSize(random.pick([0, 1, 4096, 4097, 2 ** 30])),
    () => named(random.between(1, 70), 'x', random.pick(KINDS)),
    () => Buffer.concat([Buffer.from([0x40]), text('x'), text(random.bytes(20), true)]),
    () => Buffer.alloc(random.between(1, 20), 0xff),
    () => Buffer.concat([Buffer.from([0]), Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x0f])]),
    () => random.bytes(random.between(1, 30)),
  ])();
}
