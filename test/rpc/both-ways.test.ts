import assert from 'node:assert/strict';
import { afterEach, before, it } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { create, type DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { UnaryRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { type Service, startService } from '../harness/service.ts';
import { observe } from './call-table.ts';
import { Echo, EchoService } from './echo.ts';
import { describeBothPaths } from './unary-paths.ts';
import { encode, type HeaderFields, send } from './wire.ts';

const { unary, clientStream, bidiStream } = EchoService.method;
const READABLE = encode('grpc', unary, create(UnaryRequestSchema, { text: 'well' }));
const ZIPPED = gzipSync(READABLE);
const DEFLATED = deflateSync(READABLE);
const LIMIT = 64 * 1024;

const served = undefined;
const unreadable = { code: Code.InvalidArgument, reason: 'INVALID_REQUEST' };
const tooLarge = { code: Code.ResourceExhausted, reason: 'REQUEST_TOO_LARGE' };
const unknown = { code: Code.Unimplemented, reason: 'COMPRESSION_UNKNOWN' };

type Row = {
  /** How the call says that its messages are compressed, and what the prefix of its message says. */
  encoding?: 'identity' | 'gzip' | 'deflate' | 'zstd' | 'GZIP' | 'gzip, gzip' | '';
  flags: number;
  body?: Uint8Array;
  outcome: { code: Code; reason: string } | undefined;
};

const ROWS: readonly Row[] = [
  { flags: 0, outcome: served },
  { encoding: 'identity', flags: 0, outcome: served },
  { encoding: 'gzip', flags: 0, outcome: served },
  { encoding: 'gzip', flags: 1, body: ZIPPED, outcome: served },
  { flags: 1, outcome: unreadable },
  { encoding: 'identity', flags: 1, outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: gzipSync(''), outcome: served },
  { encoding: 'deflate', flags: 0, outcome: served },
  { encoding: 'deflate', flags: 1, body: DEFLATED, outcome: served },
  { encoding: 'gzip', flags: 1, outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: Buffer.alloc(0), outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: ZIPPED.subarray(0, -1), outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: DEFLATED, outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: gzipSync(ZIPPED), outcome: unreadable },
  { encoding: 'deflate', flags: 1, body: ZIPPED, outcome: unreadable },
  { encoding: 'deflate', flags: 1, body: deflateRawSync(READABLE), outcome: unreadable },
  { encoding: 'gzip', flags: 0, body: ZIPPED, outcome: unreadable },
  { encoding: 'gzip', flags: 1, body: gzipSync(Buffer.alloc(LIMIT + 1)), outcome: tooLarge },
  { encoding: 'deflate', flags: 1, body: deflateSync(Buffer.alloc(LIMIT + 1)), outcome: tooLarge },
  { encoding: 'gzip', flags: 1, body: Buffer.alloc(LIMIT + 1), outcome: tooLarge },
  ...(['GZIP', 'gzip, gzip', ''] as const).map((encoding): Row => {
    return { encoding, flags: 1, body: ZIPPED, outcome: unknown };
  }),
  { encoding: 'zstd', flags: 1, outcome: unknown },
  ...[2, 3, 0x7f, 0x80, 0x81, 0xff].flatMap((flags): Row[] => [
    { flags, outcome: unreadable },
    { encoding: 'identity', flags, outcome: unreadable },
    { encoding: 'gzip', flags, outcome: unreadable },
    // Refused by its headers, before anything of it is read.
    { encoding: 'zstd', flags, outcome: unknown },
  ]),
];

describeBothPaths('what no gRPC client does', ({ env }) => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    service = await startService({ services: [echo.service], env });
  });

  afterEach(async () => {
    assert.equal((await service.client(EchoService).unary({ text: 'well' })).text, 'well');
  });

  for (const method of [unary, clientStream, bidiStream]) {
    it(`W01 is refused if it is a prefix with odd flags, or an unknown compression: ${method.name}`, async () => {
      for (const { encoding, flags, body = READABLE, outcome } of ROWS) {
        const headers: HeaderFields = encoding === undefined ? {} : { 'grpc-encoding': encoding };
        const { got, refused } = await observe(service, 'grpc', { method, headers, flags, body });
        const seen = refused && { code: refused.code, reason: refused.reason };
        assert.deepEqual(seen, outcome, `${encoding} ${flags}`);
        assert.equal(got.header.get('grpc-accept-encoding'), 'identity,deflate,gzip');
        // Answers are not compressed.
        assert.equal(got.header.get('grpc-encoding') ?? 'identity', 'identity');
        assert.equal(got.body[0] ?? 0, 0);
      }
    });
  }

  it('W01 is refused, and nothing done, if it is another HTTP method than POST', async () => {
    const { begun } = echo;
    const absent = { ...(unary as DescMethod), name: 'Absent' };
    for (const method of [unary, bidiStream, absent]) {
      for (const verb of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'post', 'X']) {
        const headers = { ':method': verb };
        const { status, header } = await send(service.app, 'grpc', {
          method,
          body: READABLE,
          headers,
        });
        assert.deepEqual([status, header.get('allow')], [405, 'POST'], `${verb} ${method.name}`);
      }
    }
    assert.equal(echo.begun, begun);
  });
});
