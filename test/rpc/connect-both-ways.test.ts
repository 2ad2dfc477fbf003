import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { UnaryRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { Echo, EchoService } from './echo.ts';
import { closed, rawSocket } from './frames.ts';
import { send } from './wire.ts';

const { unary } = EchoService.method;
const PATH = `/${EchoService.typeName}/Unary`;
const WELL = '{"text":"well"}';
const PROTO = Buffer.from(
  toBinary(UnaryRequestSchema, create(UnaryRequestSchema, { text: 'well' })),
);
const ZIPPED = gzipSync(WELL);

type Fields = Record<string, string | string[]>;
type Request = {
  method?: string;
  path?: string;
  version?: string;
  fields?: Fields;
  body?: string | Buffer;
  /** The body as it is, with no length. */
  raw?: string;
  /** Where the request is split into packets. */
  splitAt?: number[];
};

/** The bytes of a request by HTTP/1.1. */
function bytesOf(request: Request): Buffer {
  const { method = 'POST', path = PATH, version = '1.1', fields = {}, body = WELL, raw } = request;
  const all: Fields = {
    host: 'localhost',
    'x-request-id': 'r',
    'content-type': 'application/json',
    ...(raw === undefined && { 'content-length': String(Buffer.byteLength(body)) }),
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}\r\n`),
  );
  const head = `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(raw ?? body)]);
}

const last = { connection: 'close' };
const json = (body: string | Buffer): Request => ({ body, fields: last });
const typed = (type: string | string[], body: string | Buffer = WELL): Request => ({
  body,
  fields: { ...last, 'content-type': type },
});
const zipped = (encoding: string | string[], body: string | Buffer): Request => ({
  body,
  fields: { ...last, 'content-encoding': encoding },
});
const timed = (timeout: string | string[], body = WELL): Request => ({
  body,
  fields: { ...last, 'connect-timeout-ms': timeout },
});

const TEXTS: readonly (string | Buffer)[] = [
  ...['', ' ', '{}', ' {} \n', WELL, 'null', '[]', '""', '1', 'true', '{', '{"text":"a"', '{}x'],
  ...['{}{}', '{},', '{"text":"a",}', "{'text':'a'}", '// a\n{}', '\0', '{"text":"a\0"}', 'NaN'],
  ...['{"text":"a","text":"b"}', '{"text":"a","\\u0074ext":"b"}', '{"sleepMs":0,"sleep_ms":0}'],
  ...['{"text":null}', '{"text":null,"text":null}', '{"text":7}', '{"text":["a"]}', '{"tex":1}'],
  ...['{"tex":1,"tex":2}', '{"text":"tex","tex":"text"}', '{"text":{"text":"a"}}', '{"nested":1}'],
  ...['{"nested":{}}', '{"nested":{},"nested":{}}', '{"nested":{"a":1}}', '{"nested":null}'],
  ...['{"sleepMs":"0"}', '{"sleepMs":0.0}', '{"sleepMs":1e0}', '{"sleepMs":1.5}', '{"sleepMs":-0}'],
  ...['{"sleepMs":NaN}', '{"sleepMs":"NaN"}', '{"sleepMs":99999999999}', '{"sleepMs":1e400}'],
  ...['{"sleepMs":" 1"}', '{"sleepMs":""}', '{"sleepMs":true}', '{"sleepMs":Infinity}'],
  ...['{"text":"\\ud800"}', '{"text":"\\ud83d\\ude00"}', '{"text":"é😀"}', '{"text":"\\""}'],
  ...['{"text":"\\\\"}', '{"text":"\\x"}', '{"text":"{\\"text\\":1}"}', '{"text":"a\tb"}'],
  ...['\ufeff{}', `\ufeff${WELL}`, '{"text":"\ufeff"}', '{"text":"\ufffd"}', '{"té":1}'],
  ...['{"__proto__":{}}', '{"__proto__":null,"text":"a"}', '{"text":"__proto__"}', '{"":""}'],
  ...['{"constructor":1}', '{"toString":"a"}', '{"[a.b]":1}', '{"@type":"a"}', '{"$typeName":"a"}'],
  ...['{"failure":"bug"}', `{"text":"${'x'.repeat(1001)}"}`, `{"text":"${'é'.repeat(900)}"}`],
  ...[`{"text":"${'x'.repeat(70_000)}"}`, `${' '.repeat(70_000)}{}`, `${' '.repeat(65_000)}{}`],
  ...['['.repeat(60_000), '{"nested":'.repeat(90), '{"nested":'.repeat(150) + '}'.repeat(150)],
  ...[
    `${'{"nested":'.repeat(90)}{}${'}'.repeat(90)}`,
    `{"a":${'['.repeat(9000)}${']'.repeat(9000)}}`,
  ],
  ...[
    '80',
    'ff7b7d',
    '7b2274657874223a22ff227d',
    '7b2274657874223a22eda080227d',
    'fffe7b007d00',
  ].map((hex) => Buffer.from(hex, 'hex')),
  ...['7b2274657874223a22c3227d', '7b2274657874223a22f09f98227d'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
];

const BINARIES = [
  '',
  '08',
  '0a0541',
  '07',
  'ff',
  '0a01ff',
  '0a80',
  '0a0161',
  '0a01610a0162',
  '1001',
];

const CASES: Record<string, readonly Request[]> = {
  'whose JSON is odd': TEXTS.map(json),
  'whose bytes are odd': BINARIES.map((hex) => typed('application/proto', Buffer.from(hex, 'hex'))),
  'whose content type is odd': [
    ...['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'text/json'],
    ...['application/json;charset=UTF-8', 'application/json; charset=utf8', 'application/json '],
    ...['application/json; charset=latin1', 'application/json;', 'application/json; a=b', ''],
    ...[
      'application/connect+json',
      'application/grpc',
      'application/grpc-web',
      'text/plain',
      '*/*',
    ],
    ...[
      'application/jsonx',
      'application/json, application/json',
      'application/json; charset="utf-8"',
    ],
  ]
    .map((type) => typed(type))
    .concat([typed(['application/json', 'application/proto']), typed([])])
    .concat(
      ['application/proto', 'application/proto; a=b', 'APPLICATION/PROTO'].map((type) =>
        typed(type, PROTO),
      ),
    ),
  'whose compression is odd': [
    ...[
      'gzip',
      'GZIP',
      'x-gzip',
      'identity',
      'Identity',
      'br',
      'deflate',
      'zstd',
      '',
      'gzip, gzip',
    ].map((encoding) => zipped(encoding, ZIPPED)),
    ...['identity', '', 'br'].map((encoding) => zipped(encoding, WELL)),
    ...[
      Buffer.alloc(0),
      WELL,
      ZIPPED.subarray(0, -9),
      ZIPPED.subarray(0, -1),
      deflateSync(WELL),
    ].map((body) => zipped('gzip', body)),
    ...[
      Buffer.concat([ZIPPED, Buffer.from('x')]),
      Buffer.concat([ZIPPED, ZIPPED]),
      Buffer.concat([gzipSync('{'), gzipSync('}')]),
      gzipSync(Buffer.alloc(20_000_000)),
      gzipSync(Buffer.alloc(64 * 1024 + 1, ' ')),
      gzipSync(''),
      gzipSync(ZIPPED),
    ].map((body) => zipped('gzip', body)),
    zipped(['gzip', 'gzip'], ZIPPED),
    zipped('br', brotliCompressSync(WELL)),
    {
      body: gzipSync(PROTO),
      fields: { ...last, 'content-type': 'application/proto', 'content-encoding': 'gzip' },
    },
  ],
  'whose deadline is odd': [
    ...['', '0', '00', '1000', '05000', '999999999', '9999999999', '99999999999', '-1', '1.5'],
    ...[' 5000 ', '0x10', '1e3', 'soon', '1000ms', '+5'],
  ]
    .map((timeout) => timed(timeout))
    .concat([
      timed(['1000', '1000']),
      timed('50', '{"sleepMs":20000}'),
      timed('5000', '{"sleepMs":1}'),
    ]),
  'whose method or path is odd': [
    ...['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'SEARCH'].map(
      (method): Request => ({ method, fields: last }),
    ),
    ...['?', '?a=b', '/', '#a', '%20', '?connect=v1&encoding=json&message=%7B%7D'].flatMap(
      (more): Request[] => [
        { path: PATH + more, fields: last },
        { method: 'GET', path: PATH + more, fields: last, body: '' },
      ],
    ),
    ...[`http://localhost${PATH}`, `/${PATH}`, PATH.toLowerCase(), PATH.replace('U', '%55')].map(
      (path): Request => ({ path, fields: last }),
    ),
    { version: '1.0' },
    { version: '1.0', fields: { connection: 'keep-alive' }, method: 'HEAD' },
  ],
  'whose headers are odd': [
    ...['1', '2', '', 'x'].map(
      (version): Request => ({ fields: { ...last, 'connect-protocol-version': version } }),
    ),
    ...['gzip', 'br', 'identity', '*', 'zstd, gzip'].map(
      (accept): Request => ({ fields: { ...last, 'accept-encoding': accept } }),
    ),
    ...['Bearer x', 'Basic x', '', 'Bearer'].map(
      (authorization): Request => ({ fields: { ...last, authorization } }),
    ),
    { fields: { ...last, expect: '100-continue' } },
    { fields: { ...last, expect: 'x' } },
    { fields: { ...last, host: 'elsewhere.example' } },
    { fields: { ...last, host: 'a b' } },
    { fields: { ...last, host: [] } },
    { fields: { ...last, 'x-\u00e9': 'a' } },
    {
      fields: { ...last, 'x-a': '\u00e9\u00ff', trailer: 'x-b', 'trailer-a': 'b', te: 'trailers' },
    },
    { fields: { ...last, 'x-request-id': ['r', 'r'] } },
    { fields: { ...last, 'content-length': '1' } },
    { fields: { ...last, 'content-length': ['15', '15'] } },
    { fields: { ...last, 'content-length': '-1' } },
    { fields: { ...last, 'content-length': '50000000' } },
    { fields: { ...last, 'content-length': '70000', 'content-encoding': 'gzip' } },
    { fields: { ...last, 'content-length': '15', 'transfer-encoding': 'chunked' } },
    { raw: WELL, fields: last },
    { raw: '', fields: last },
  ],
  'which comes in chunks': [
    `f\r\n${WELL}\r\n0\r\n\r\n`,
    `7\r\n${WELL.slice(0, 7)}\r\n8;a=b\r\n${WELL.slice(7)}\r\n0\r\nx-trailer: a\r\n\r\n`,
    '0\r\n\r\n',
    `2\r\n{}\r\n2\r\n{}\r\n0\r\n\r\n`,
    `f\r\n${WELL}\r\nx\r\n\r\n`,
    `ffffffffffffffffff\r\n${WELL}`,
    `11171\r\n${' '.repeat(70_001)}\r\n0\r\n\r\n`,
  ].map((raw): Request => ({ raw, fields: { ...last, 'transfer-encoding': 'chunked' } })),
  'which comes in pieces': [
    { fields: last, splitAt: [10] },
    { fields: last, splitAt: [-15] },
    { fields: last, splitAt: [-20, -8] },
    { fields: last, splitAt: [-15, -14, -3, -1] },
    { body: `${' '.repeat(60_000)}{}`, fields: last, splitAt: [300, 20_000, 40_000] },
  ],
};

describe('a call by Connect that its clients would not make', () => {
  let fast: Service;
  let slow: Service;

  before(async () => {
    const services = [new Echo().service];
    fast = await startService({ services });
    slow = await startReplica(fast, {
      services,
      env: { COUNTERSIGN_UNARY_FAST_PATH: 'off' },
    });
  });

  for (const [what, requests] of Object.entries(CASES)) {
    it(`W01 has the same answer with the fast path and without it: ${what}`, async () => {
      for (const request of requests) {
        const [a, b] = await Promise.all(
          [fast, slow].map((service) => answers(service, [request])),
        );
        assert.deepEqual(a, b, JSON.stringify(request).slice(0, 300));
      }
    });
  }

  it('W01 has the same answer with the fast path and without it: several at once', async () => {
    const late = { body: '{"text":"late","sleepMs":100}' };
    const end = { fields: last };
    for (const requests of [
      [{}, {}, end],
      [late, {}, end],
      [{ body: '{' }, {}, { method: 'GET' }, typed('text/plain')],
      [{ fields: { 'content-encoding': 'gzip' }, body: ZIPPED }, {}, end],
      [
        { raw: 'f\r\n{"text":"well"}\r\n0\r\n\r\n', fields: { 'transfer-encoding': 'chunked' } },
        end,
      ],
      [{ fields: { 'content-length': '70000' } }, end],
      [{ method: 'HEAD', body: '' }, {}, end],
    ] satisfies Request[][]) {
      const [a, b] = await Promise.all([fast, slow].map((service) => answers(service, requests)));
      assert.deepEqual(a, b, JSON.stringify(requests).slice(0, 300));
    }
  });

  it('W01 has the same answer with the fast path and without it: by HTTP/2', async () => {
    const headers: Fields[] = [
      { 'content-type': 'application/json' },
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      { 'content-type': 'application/proto' },
      { 'content-type': 'application/json', 'connect-timeout-ms': '5000' },
      { 'content-type': 'application/json', 'content-length': '15' },
      { 'content-type': 'application/json', 'content-length': '16' },
      { 'content-type': 'application/json', ':method': 'PUT' },
    ];
    const bodies = [
      WELL,
      '',
      '{',
      '{"failure":"bug"}',
      '{"a":1}',
      ' '.repeat(70_000),
      ZIPPED,
      PROTO,
    ];
    for (const fields of headers) {
      for (const body of bodies.map((each) => Buffer.from(each))) {
        const [a, b] = await Promise.all(
          [fast, slow].map((service) => answer2(service, fields, body)),
        );
        assert.deepEqual(a, b, `${JSON.stringify(fields)} ${body.toString('latin1').slice(0, 50)}`);
      }
    }
  });
});

/** The answer to a request by HTTP/2, or how its stream ends. */
async function answer2({ app }: Service, fields: Fields, body: Buffer): Promise<unknown> {
  const sent = { method: unary, body, headers: { ...fields, 'x-request-id': 'r' } };
  try {
    const { status, header, body: bytes } = await send(app, 'connect http/2', sent);
    header.delete('date');
    return { status, header: [...header], body: bytes.toString('latin1') };
  } catch (error) {
    return String(error);
  }
}

/** The answers to requests that are sent on one connection, until it closes. */
async function answers({ app }: Service, requests: readonly Request[]): Promise<unknown> {
  const bytes = Buffer.concat(requests.map(bytesOf));
  const splits = (requests.length === 1 && requests[0]?.splitAt) || [];
  const ends = [...splits.map((at) => (at < 0 ? bytes.length + at : at)), bytes.length];
  const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
  const socket = await rawSocket(app.httpAddress);
  socket.on('error', () => {}).setNoDelay();
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const over = closed(socket).then(() => true);
  for (const piece of pieces) {
    socket.write(piece);
    // The service, in this process, reads each piece by itself.
    for (let turn = 0; turn < 3; turn += 1) await setImmediate();
  }
  const isOver = await Promise.race([over, sleep(20_000, false, { ref: false })]);
  socket.destroy();
  return { isOver, answers: parsed(Buffer.concat(chunks).toString('latin1')) };
}

/** Answers with their headers in order, and without what differs from one to the next. */
function parsed(text: string): unknown[] {
  const all: unknown[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const [status, ...lines] = rest.slice(0, end).toLowerCase().split('\r\n');
    const length = Number(/^content-length: (\d+)$/m.exec(lines.join('\n'))?.[1] ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    const stable = lines
      .filter((line) => !line.startsWith('date: '))
      .map((line) => line.replace(/^(x-request-id: )[\da-f-]{36}$/, '$1made'))
      .sort();
    const isOurs = !/"requestId":"[0-9a-f]{8}-/.test(body);
    all.push(isOurs ? { status, stable, body } : { status });
    rest = end < 0 ? '' : rest.slice(end + 4 + length);
  }
  return all;
}
