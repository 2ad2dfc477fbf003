import {
  CONTINUATION,
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../frames.ts';
import { type Listener, oddPath } from './calls.ts';
import { literal, reference, text } from './hpack.ts';
import { interleavedCalls, oddInstruction } from './http2-calls.ts';
import { anyFrame, headerFrames, PRIORITY, settings, uint32 } from './http2-frames.ts';
import type { Random } from './random.ts';
import { altered, type Recorded } from './recorded.ts';
import { type Scenario, type Step, scenario } from './scenario.ts';

/** Streams that one connection opens: mostly, and at most. */
const STREAMS = [20, 300] as const;
/** Frames that it sends else. */
const FRAMES = [100, 1000] as const;
/** Streams whose headers are much larger than what is sent. */
const LARGE_STREAMS = 8;

type Make = (random: Random, listener: Listener, recorded: Recorded) => Step[];

const SCENARIOS: Record<string, Make> = {
  'interleaved calls': interleavedCalls,
  'any frames': (random) => random.times(random.between(1, 40), () => anyFrame(random)),
  'odd header blocks': (random) =>
    random.times(random.between(1, 5), (i) => {
      const parts = [callHeaders(oddPath(random)), oddInstruction(random)];
      const block = Buffer.concat(random.chance(0.5) ? parts : parts.reverse());
      return headerFrames(random, 2 * i + 1, block, END_STREAM);
    }),
  'fields by reference': (random) => {
    const large = literal(['x-large', 'v'.repeat(random.between(10, 3900))], 'indexed');
    const block = (i: number) =>
      Buffer.concat([
        callHeaders(oddPath(random)),
        i === 0 ? large : Buffer.alloc(0),
        ...random.times(random.between(1, 30), () => reference(62)),
      ]);
    return random.times(random.between(1, LARGE_STREAMS), (i) =>
      headerFrames(random, 2 * i + 1, block(i), random.chance(0.5) ? END_STREAM : 0),
    );
  },
  'headers that go on': (random) => {
    const size = random.pick([0, 1, 100, 4000]);
    const piece = Buffer.alloc(size, literal([`x-${size}`, 'y'.repeat(50)]));
    return [
      frame(HEADERS, 0, 1, callHeaders(oddPath(random))),
      ...random.times(random.some(...FRAMES), () => frame(CONTINUATION, 0, 1, piece)),
      random.chance(0.5) ? frame(CONTINUATION, END_HEADERS, 1) : anyFrame(random),
    ];
  },
  'streams reset at once': (random) =>
    random.times(random.some(...STREAMS), (i) =>
      Buffer.concat([
        frame(HEADERS, END_HEADERS, 2 * i + 1, callHeaders(oddPath(random))),
        random.chance(0.2) ? frame(DATA, 0, 2 * i + 1, random.bytes(8)) : Buffer.alloc(0),
        frame(RST_STREAM, 0, 2 * i + 1, uint32(random.pick([0, 1, 2, 7, 8, 99]))),
      ]),
    ),
  'streams left open': (random) =>
    random.times(random.some(...STREAMS), (i) =>
      frame(HEADERS, END_HEADERS, 2 * i + 1, callHeaders(oddPath(random))),
    ),
  'data in tiny frames': (random) => [
    frame(HEADERS, END_HEADERS, 1, callHeaders(oddPath(random))),
    ...random.times(random.some(...FRAMES), () => frame(DATA, 0, 1, Buffer.alloc(1))),
  ],
  'data for nothing': (random) =>
    random.times(random.some(...FRAMES), (i) =>
      frame(DATA, random.below(2), random.pick([1, 2 * i + 1, 2 * i]), random.bytes(20)),
    ),
  'pings and settings': (random) => {
    const kinds = [
      () => frame(PING, 0, 0, Buffer.alloc(8)),
      () => frame(SETTINGS, 0, 0),
      () => settings(random),
      () => frame(PRIORITY, 0, random.between(1, 99), random.bytes(5)),
      () => frame(WINDOW_UPDATE, 0, 0, uint32(random.pick([1, 0x7fffffff]))),
    ];
    const make = random.chance(0.5) ? () => random.pick(kinds)() : random.pick(kinds);
    return random.times(random.some(...FRAMES), make);
  },
  'a window that changes': (random, listener) => {
    const size = uint32(random.pick([0, 1, 0x7fffffff, 0x80000000]));
    const initial = frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), size]));
    return [
      initial,
      ...interleavedCalls(random, listener),
      frame(WINDOW_UPDATE, 0, random.below(4), uint32(random.pick([0, 1, 0x7fffffff]))),
    ];
  },
  'calls after goodbye': (random, listener) => [
    frame(GOAWAY, 0, 0, Buffer.concat([uint32(random.below(9)), uint32(random.below(14))])),
    ...interleavedCalls(random, listener),
  ],
  'half a frame': (random, listener) => {
    const whole = Buffer.concat(interleavedCalls(random, listener).filter(isBytes));
    return [whole.subarray(0, random.below(whole.length))];
  },
  'a good conversation, altered': (random, listener, recorded) =>
    altered(random, random.pick(recorded[listener])),
};

const NAMES = Object.keys(SCENARIOS);

export function http2Scenario(random: Random, listener: Listener, recorded: Recorded): Scenario {
  const name = random.pick(NAMES);
  const make = SCENARIOS[name] as Make;
  const steps = make(random, listener, recorded);
  // A recorded conversation begins with its own.
  const greeting = name.startsWith('a good conversation') ? [] : hello(random);
  return scenario(random, name, [...greeting, ...steps]);
}

function hello(random: Random): Step[] {
  if (random.chance(0.95)) return [PREFACE, settings2(random), frame(SETTINGS, 1, 0)];
  return random.pick([
    [PREFACE],
    [PREFACE, PREFACE],
    [PREFACE.subarray(0, random.below(PREFACE.length)), 5],
    [Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
    [text(random.bytes(50))],
    [],
  ]);
}

const settings2 = (random: Random) =>
  random.chance(0.8) ? frame(SETTINGS, 0, 0) : settings(random);

function isBytes(step: Step): step is Uint8Array {
  return typeof step !== 'number';
}
