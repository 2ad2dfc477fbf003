import { gzipSync } from 'node:zlib';
import { AccountService } from '../../../gen/countersign/v1/account_service_pb.ts';
import { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../../gen/countersign/v1/session_service_pb.ts';
import { Health } from '../../../gen/grpc/health/v1/health_pb.ts';
import { pathOf } from '../wire.ts';
import type { Random } from './random.ts';

export type Listener = 'grpc' | 'http';
export type Line = readonly [name: string, value: string];

/** A call as its caller means it, mostly wrong in something. */
export type OddCall = { path: string; lines: Line[]; body: Buffer };

const SERVICES = [AccountService, AdminService, ApiKeyService, AuthService, SessionService];
const PATHS = SERVICES.flatMap(({ methods }) => methods).map(pathOf);
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** Calls that a trusted caller may make: their messages as protobuf and as JSON. */
const GOOD_CALLS = (
  [
    [`/${SessionService.typeName}/IntrospectToken`, '0a0178', '{"token":"x"}'],
    [
      `/${SessionService.typeName}/BatchIntrospectTokens`,
      '0a030a0178',
      '{"requests":[{"token":"x"}]}',
    ],
    [`/${SessionService.typeName}/WatchRevocations`, '', '{}'],
    // The HTTP listener does not know these.
    [REFLECTION, '3a012a', '{}'],
    [pathOf(Health.method.watch), '', '{}'],
  ] as const
).map(([path, hex, json]) => ({
  path,
  message: Buffer.from(hex, 'hex'),
  json: Buffer.from(json),
}));
const OTHER_PATHS = [
  ...['/countersign.v1.SessionService/Nothing', '/nothing.Nothing/Nothing'],
  ...Health.methods.map(pathOf),
  ...[REFLECTION, REFLECTION.replace('v1', 'v1alpha')],
];
const NO_PATHS = ['', '/', '//', '*', '/%', '/%ff/%00', '/?', '/../..', 'http://[/', '/\u00ff/a'];

const TYPES: Record<Listener, readonly string[]> = {
  grpc: ['application/grpc', 'application/grpc+proto', 'application/grpc+json'],
  http: [
    ...['application/json', 'application/proto', 'application/connect+json'],
    ...['application/connect+proto', 'application/grpc-web', 'application/grpc-web+proto'],
  ],
};
const ODD_TYPES = [
  ...['application/grpc+', 'application/grpc-web-text', 'application/grpc;x', 'text/plain', ''],
  ...['application/json; charset=utf-16', 'application/connect+x', ';;;', 'application/grpcx'],
];
const ENCODINGS = ['gzip', 'identity', 'br', 'deflate', 'zstd', 'x', '', 'gzip, gzip'];
const TIMES = ['1S', '20m', '0m', '1n', '99999999H', '999999999H', '-1S', 'S', 'x', '', '1.5S'];
const ODD_LINES: Record<string, readonly string[]> = {
  'grpc-timeout': TIMES,
  'connect-timeout-ms': ['1', '0', '20', '-1', 'x', '', '9'.repeat(30)],
  'grpc-encoding': ENCODINGS,
  'content-encoding': ENCODINGS,
  'connect-content-encoding': ENCODINGS,
  'grpc-accept-encoding': ENCODINGS,
  'accept-encoding': ENCODINGS,
  'connect-protocol-version': ['1', '2', 'x', ''],
  'content-type': [...TYPES.grpc, ...TYPES.http, ...ODD_TYPES],
  'content-length': ['0', '1', '5', '70000', '-1', '+5', '5, 5', 'x', '9'.repeat(25)],
  authorization: ['Bearer x', 'Bearer', 'Bearer  ', 'Basic eDp4', 'Bearer \u00ff', ',', 'x'],
  'x-request-id': ['x', '', '"', '\\', 'x'.repeat(300), '{"a":1}', '\u00ff', ' '],
  traceparent: ['00-1-1-1', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, 'x', ''],
  'x-forwarded-for': ['1.2.3.4', '::1', 'unknown', '', '1.2.3.4:5', '[::1]:80', ',,,', '\u00ff'],
  forwarded: ['for=1.2.3.4', 'for="[::1]:80"', 'for=_x', 'for="', ';;', ''],
  origin: ['null', 'http://localhost', 'http://[', ''],
  host: ['localhost', '[', '%', 'x:99999', 'a b', ''],
  te: ['trailers', 'gzip', '', 'trailers, deflate;q=0.5'],
  'x-odd-bin': ['AA==', 'A', '!', '', 'AA,AA'],
  'x-odd': ['', ' ', 'x'.repeat(3000), '\u0080\u00ff', '\t', 'a\u0001b', 'a\u007fb'],
};

export function oddCall(random: Random, listener: Listener): OddCall {
  const other = listener === 'grpc' ? 'http' : 'grpc';
  const type = random.chance(0.9)
    ? random.pick(TYPES[random.chance(0.9) ? listener : other])
    : random.pick(ODD_TYPES);
  const lines: Line[] = [['content-type', type]];
  if (type.startsWith('application/grpc')) lines.push(['te', 'trailers']);
  while (random.chance(0.25)) {
    const name = random.pick(Object.keys(ODD_LINES));
    lines.push([name, random.pick(ODD_LINES[name] ?? [])]);
  }
  const isJson = type.includes('json');
  const { path, message, json } = random.pick(GOOD_CALLS);
  if (random.chance(0.5))
    return { path, lines, body: framed(random, type, isJson ? json : message) };
  const odd = isJson ? Buffer.from(oddJson(random)) : oddMessage(random);
  return { path: oddPath(random), lines, body: framed(random, type, odd) };
}

export function oddPath(random: Random): string {
  if (random.chance(0.3)) return random.pick(GOOD_CALLS).path;
  if (random.chance(0.7)) return random.pick(PATHS);
  return random.pick(random.chance(0.8) ? OTHER_PATHS : NO_PATHS);
}

/** A message as its content type wants it, mostly. */
function framed(random: Random, type: string, message: Buffer): Buffer {
  if (random.chance(0.05)) return random.bytes(random.below(200));
  if (!/grpc|connect/.test(type)) return message;
  return Buffer.concat(random.times(random.chance(0.9) ? 1 : 3, () => envelope(random, message)));
}

/** With its flags and its length, which may both be wrong. */
function envelope(random: Random, message: Buffer): Buffer {
  const isPacked = random.chance(0.05);
  const bytes = isPacked ? gzipSync(message) : message;
  const head = Buffer.alloc(5);
  head[0] = random.chance(0.95) ? Number(isPacked) : random.pick([1, 2, 3, 0x80, 0x81, 0xff]);
  const odd = [0, 1, bytes.length + 1, Math.max(bytes.length - 1, 0), 70_000, 0xffffffff];
  head.writeUInt32BE(random.chance(0.9) ? bytes.length : random.pick(odd), 1);
  return Buffer.concat([head, bytes]);
}

function oddMessage(random: Random): Buffer {
  if (random.chance(0.2)) return Buffer.alloc(0);
  if (random.chance(0.03)) return Buffer.alloc(random.between(60_000, 80_000), 'x');
  return Buffer.concat(random.times(random.between(1, 6), () => oddField(random, 0)));
}

/** One field as protobuf writes it, with a number and a type that the method may not know. */
function oddField(random: Random, depth: number): Buffer {
  const type = random.pick([0, 1, 2, 2, 2, 5, 3, 4, 7]);
  const tag = Buffer.from([(random.between(0, 15) << 3) | type]);
  if (type === 0) return Buffer.concat([tag, random.bytes(1), Buffer.from([1])]);
  if (type === 1 || type === 5) return Buffer.concat([tag, random.bytes(type === 1 ? 8 : 4)]);
  if (type !== 2) return tag;
  const inner =
    depth < 4 && random.chance(0.4) ? oddField(random, depth + 1) : random.bytes(random.below(40));
  const length = random.chance(0.9) ? inner.length : random.below(128);
  return Buffer.concat([tag, Buffer.from([length]), inner]);
}

function oddJson(random: Random): string {
  return random.pick([
    ...['{}', '', 'null', '[]', '{"token":1}', '{"token":'],
    ...['{"x":1}', '{"token":"\\ud800"}', '{"__proto__":{"token":"x"}}', '{"token":"x"}{}', '"'],
    `${'['.repeat(5000)}`,
    `{"token":${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}}`,
    `{"token":"${'x'.repeat(random.between(1, 9000))}"}`,
    `{"tokens":[${'"x",'.repeat(200)}"x"]}`,
    random.bytes(random.below(60)).toString('latin1'),
  ]);
}
