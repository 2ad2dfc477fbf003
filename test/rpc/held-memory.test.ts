import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { AttackedService, METHOD, strange } from './attacked-service.ts';
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
} from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

/** A message of 65,535 bytes begins. */
const LONG_PREFIX = Buffer.from([0, 0, 0, 0xff, 0xff]);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

describeBothPaths('memory held by requests without a credential', ({ env, fastPath }) => {
  const attacked = new AttackedService(env);
  const waysOf = () => (fastPath === 'on' ? attacked.ways : attacked.ways.slice(0, 1));

  /** Opens `count` streams, each with `uses` references to a field of 4 KB. */
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

  for (const [title, uses, count, connections] of [
    ['requests are begun and not sent', 0, 4000, 4],
    ['requests are begun on many connections', 0, 190, 60],
    ['two bytes of headers stand for kilobytes', 2, 190, 12],
    ['headers are larger than a call may have', 14, 190, 12],
  ] as const) {
    it(`W15 is bounded if ${title}`, async () => {
      for (const [address, type] of waysOf()) {
        for (let connection = 0; connection < connections; connection += 1) {
          await openStreams(await attacked.connect(address), type, count, uses);
        }
      }
      await attacked.staysSmall();
    });
  }

  it('W15 is bounded if headers are larger than announced, from callers who did not listen', async () => {
    for (const [address, type] of waysOf()) {
      for (let connection = 0; connection < 12; connection += 1) {
        await openStreams(await attacked.connectDeaf(address), type, 190, 15);
      }
    }
    await attacked.staysSmall();
  });

  it('W15 is bounded if a body arrives a byte at a time', async () => {
    for (const [address, type] of waysOf()) {
      const raw = await attacked.connect(address);
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
    await attacked.staysSmall();
  });

  for (const path of [METHOD, REFLECTION]) {
    it(`W15 is bounded if a frame holds thousands of messages: ${path}`, async () => {
      const compressed = { ...strange('application/grpc+proto'), 'grpc-encoding': 'gzip' };
      for (const [address] of attacked.ways.slice(0, 1)) {
        for (let connection = 0; connection < 10; connection += 1) {
          const raw = await attacked.connect(address);
          raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
          for (let stream = 1; stream < 8; stream += 2) {
            raw.call(stream, path, compressed);
            // Each says that it is compressed, and has nothing in it.
            raw.write(frame(DATA, 0, stream, Buffer.alloc(16_380, Buffer.from([1, 0, 0, 0, 0]))));
          }
          await turn();
        }
      }
      await attacked.staysSmall();
    });
  }

  it('W15 is bounded if streams are reset as soon as they are open', async () => {
    const block = callHeaders(METHOD, strange('application/grpc'));
    for (const [address] of waysOf()) {
      const raw = await attacked.connect(address);
      for (let stream = 1; stream < 60_000; stream += 2) {
        raw.write(frame(HEADERS, END_HEADERS, stream, block));
        raw.write(frame(RST_STREAM, 0, stream, CANCEL));
        if (stream % 501 === 0) await turn();
      }
    }
    await attacked.staysSmall();
  });

  if (fastPath === 'off') return;

  it('W15 is bounded if thousands of connections say hello and nothing else', async () => {
    for (let count = 0; count < 1500; count += 1) {
      for (const [address] of attacked.ways) await attacked.connectDeaf(address);
    }
    await attacked.staysSmall();
  });
});
