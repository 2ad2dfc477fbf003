import { setImmediate as turn } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { DATA, END_STREAM, frame } from '../frames.ts';
import { type Flood, METHOD, strange } from './flood.ts';

const TOKEN = 'x'.repeat(60_000);
const JSON_TEXT = JSON.stringify({ token: TOKEN });
/** Field 1, with a length of two bytes and more. */
const BINARY = Buffer.concat([Buffer.from([0x0a, 0xe0, 0xd4, 0x03]), Buffer.from(TOKEN)]);

/** Small requests that are large when they are decompressed, thousands at once. */
export const COMPRESSED: readonly Flood[] = [
  compressed('Connect calls by gzip', 'application/json', {
    fields: { 'content-encoding': 'gzip' },
    body: gzipSync(JSON_TEXT),
  }),
  compressed('Connect calls by brotli', 'application/json', {
    fields: { 'content-encoding': 'br' },
    body: brotliCompressSync(JSON_TEXT),
  }),
  compressed('gRPC-Web calls', 'application/grpc-web+proto', {
    fields: { 'grpc-encoding': 'gzip' },
    body: prefixed(gzipSync(BINARY)),
  }),
];

function compressed(
  calls: string,
  contentType: string,
  { fields, body }: { fields: Record<string, string>; body: Buffer },
): Flood {
  return {
    title: `${calls} are compressed, thousands at once`,
    async attack({ ways, connect }) {
      const [address = ''] = ways.at(-1) ?? [];
      for (let connection = 0; connection < 10; connection += 1) {
        const raw = await connect(address);
        for (let stream = 1; stream < 400; stream += 2) {
          raw.call(stream, METHOD, { ...strange(contentType), ...fields });
          raw.write(frame(DATA, END_STREAM, stream, body));
        }
        await turn();
      }
    },
  };
}

/** A compressed message with the prefix that gRPC has. */
function prefixed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = 1;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
