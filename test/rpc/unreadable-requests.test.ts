import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { brotliCompressSync, deflateRawSync, gzipSync } from 'node:zlib';
import { create, type DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import {
  NestedSchema,
  type UnaryRequest,
  UnaryRequestSchema,
} from '../gen/countersign/test/v1/echo_service_pb.ts';
import { type Service, startService } from '../harness/service.ts';
import { holds, observe, type Row } from './call-table.ts';
import { Echo, EchoService } from './echo.ts';
import { describeBothPaths } from './unary-paths.ts';
import { DIALECTS, type Dialect, encode, encodingHeader, isConnect, send } from './wire.ts';

const { unary, clientStream } = EchoService.method;
const LIMIT = 64 * 1024;
const BINARY = DIALECTS.filter((dialect) => dialect !== 'connect json');
const ENVELOPED = ['grpc', 'grpc-web'] as const;
const tooLarge = { code: Code.ResourceExhausted, reason: 'REQUEST_TOO_LARGE' };
const invalid = { code: Code.InvalidArgument, reason: 'INVALID_REQUEST' };
const compressed = (encoding: string) => (dialect: Dialect) => ({
  [encodingHeader(dialect)]: encoding,
});

describeBothPaths('a request that cannot be read, by gRPC, Connect and gRPC-Web', (path) => {
  let service: Service;
  const holdsFor = ({ dialects = DIALECTS, ...row }: Partial<Row>) => {
    const concerned = dialects.filter((dialect) => path.dialects.includes(dialect));
    return holds(service, { method: unary, ...row, dialects: concerned });
  };
  const json = (text: string) => ({
    body: Buffer.from(text),
    dialects: ['connect json'] as const,
  });

  before(async () => {
    service = await startService({ services: [new Echo().service], env: path.env });
  });

  it('is refused if its JSON is broken, of the wrong type, or has an unknown field', async () => {
    for (const text of ['{', '', '[]', '"x"', 'null', '{"text":"a"}x', '\u0000']) {
      await holdsFor({ ...json(text), refused: invalid });
    }
    await holdsFor({ ...json('{"text":7}'), refused: { ...invalid, fields: ['text'] } });
    await holdsFor({ ...json('{"sleepMs":"x"}'), refused: { ...invalid, fields: ['sleep_ms'] } });
    await holdsFor({ ...json('{"tex":"a"}'), refused: { ...invalid, fields: ['tex'] } });
  });

  it('is not repeated in its refusal', async () => {
    for (const text of ['{"text":"hunter2-hunter2"', '{"sleepMs":"hunter2-hunter2"}']) {
      const row = { method: unary, ...json(text) };
      const { got } = await observe(service, 'connect json', row);
      assert.equal(got.body.includes('hunter2'), false);
    }
  });

  it('is refused if its bytes are not a message', async () => {
    const broken = [[0x08], [0x0a, 0x05, 0x41], [0x07], [0xff], [0x0a, 0x01, 0xff], [0x0a, 0x80]];
    for (const bytes of broken) {
      await holdsFor({ body: Uint8Array.from(bytes), dialects: BINARY, refused: invalid });
    }
  });

  it('is refused if it nests more than 100 levels', async () => {
    await holdsFor({ body: (dialect) => encode(dialect, unary, nested(90)) });
    for (const levels of [101, 1000, 5900]) {
      await holdsFor({ body: nestedBytes(levels), dialects: BINARY, refused: invalid });
      await holdsFor({ ...json(nestedJson(levels)), refused: invalid });
    }
  });

  it('is refused if it is larger than 64 KiB, and read up to that', async () => {
    const refused = { ...invalid, fields: ['text'] };
    await holdsFor({ body: sized(LIMIT, unary), refused });
    for (const size of [LIMIT + 1, 65 * 1024, 1024 * 1024]) {
      await holdsFor({ body: sized(size, unary), refused: tooLarge });
    }
  });

  it('is read if it is compressed, and refused if it decompresses to more', async () => {
    const small = (dialect: Dialect) =>
      gzipSync(encode(dialect, unary, create(UnaryRequestSchema, { text: 'a'.repeat(999) })));
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024));
    await holdsFor({ body: small, headers: compressed('gzip'), flags: 1 });
    await holdsFor({ body: bomb, headers: compressed('gzip'), flags: 1, refused: tooLarge });
  });

  it('is refused if its brotli decompresses to more', async () => {
    const dialects = DIALECTS.filter((dialect) => dialect !== 'grpc');
    const bomb = brotliCompressSync(Buffer.alloc(20 * 1024 * 1024));
    await holdsFor({
      body: bomb,
      headers: compressed('br'),
      flags: 1,
      dialects,
      refused: tooLarge,
    });
  });

  it('is refused if its compression is broken or cut off', async () => {
    const whole = gzipSync(Buffer.alloc(5000, 'abc'));
    const broken = [
      Buffer.from('not compressed'),
      whole.subarray(0, -9),
      deflateRawSync(Buffer.alloc(100)),
    ];
    for (const body of broken) {
      await holdsFor({ body, headers: compressed('gzip'), flags: 1, refused: invalid });
    }
  });

  it('is refused if it says that it is compressed, but not how', async () => {
    await holdsFor({ body: gzipSync(''), flags: 1, dialects: ENVELOPED, refused: invalid });
  });

  it('is refused if its compression is unknown', async () => {
    const body = Buffer.from('anything');
    const refused = { code: Code.Unimplemented, reason: 'COMPRESSION_UNKNOWN' };
    for (const flags of [0, 1]) {
      await holdsFor({ body, headers: compressed('zstd'), flags, refused });
    }
  });

  it('is refused if it has no message, or two', async () => {
    for (const raw of [Buffer.alloc(0), Buffer.alloc(10)]) {
      await holdsFor({ raw, dialects: ENVELOPED, refused: invalid });
    }
  });

  it('is refused if it ends within a message', async () => {
    const raw = Buffer.from([0, 0, 0, 0, 9, 1, 2]);
    await holdsFor({ raw, dialects: ENVELOPED, refused: invalid });
    const whole = Buffer.concat([Buffer.alloc(5), raw]);
    await holdsFor({ method: clientStream, raw: whole, dialects: ENVELOPED, refused: invalid });
  });

  it('is refused if its content type names another encoding', async () => {
    const sent = { method: unary, body: create(unary.input) };
    for (const type of ['application/grpc+json', 'application/grpc-web+proto', 'text/plain']) {
      const headers = { 'content-type': type };
      assert.equal((await send(service.app, 'grpc', { ...sent, headers })).status, 415, type);
    }
    for (const type of ['application/grpc', 'application/grpc;charset=utf-8']) {
      const headers = { 'content-type': type };
      const { status, error } = await send(service.app, 'grpc', { ...sent, headers });
      assert.deepEqual([status, error], [200, undefined], type);
    }
  });

  it('is refused if its deadline cannot be read', async () => {
    for (const text of ['soon', '-1', '1.5', '99999999999', '1Sx', 'x1S']) {
      const headers = (dialect: Dialect): Record<string, string> =>
        isConnect(dialect) ? { 'connect-timeout-ms': text } : { 'grpc-timeout': text };
      await holdsFor({ headers, refused: invalid });
    }
  });

  it('is refused if there is no such method', async () => {
    const refused = { code: Code.Unimplemented, reason: 'METHOD_UNKNOWN' };
    const known = unary as DescMethod;
    for (const method of [
      { ...known, name: 'Absent' },
      { ...known, parent: { ...known.parent, typeName: 'countersign.v9.NoService' } },
    ]) {
      await holdsFor({ method, refused });
      for (const dialect of path.dialects.filter(isConnect)) {
        const { got } = await observe(service, dialect, { method });
        assert.equal(got.status, 404, dialect);
      }
    }
  });
});

/** A message whose bytes are `size` long. */
function sized(size: number, method: DescMethod) {
  return (dialect: Dialect): Uint8Array => {
    const probe = encode(dialect, method, create(UnaryRequestSchema, { text: 'x'.repeat(size) }));
    const text = 'x'.repeat(2 * size - probe.byteLength);
    return encode(dialect, method, create(UnaryRequestSchema, { text }));
  };
}

function nested(levels: number): UnaryRequest {
  let inner = create(NestedSchema);
  for (let level = 1; level < levels; level += 1) inner = create(NestedSchema, { nested: inner });
  return create(UnaryRequestSchema, { nested: inner });
}

/** Nesting that no encoder would write; each level's length takes as many bytes as it needs. */
function nestedBytes(levels: number): Uint8Array {
  const heads: number[][] = [];
  let length = 0;
  for (let level = 0; level < levels; level += 1) {
    const head = [level === levels - 1 ? 0x22 : 0x0a, ...varint(length)];
    heads.push(head);
    length += head.length;
  }
  return Uint8Array.from(heads.reverse().flat());
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function nestedJson(levels: number): string {
  return `${'{"nested":'.repeat(levels)}{}${'}'.repeat(levels)}`;
}
