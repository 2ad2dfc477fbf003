import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { before, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { ServerStreamRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { holds, observe } from './call-table.ts';
import { Echo, EchoService } from './echo.ts';
import { closed, exchange, rawSocket } from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';
import { encode, pathOf } from './wire.ts';

const { unary, serverStream } = EchoService.method;
const SIZES_KIB = [17, 40, 70];
/** The connections of proxies may bring more, for what they ask. */
const NO_PROXY = { COUNTERSIGN_TRUSTED_CALLERS: '192.0.2.1' };
const OVER_HTTP2 = ['grpc', 'connect http/2'] as const;
/** A stream of one message that goes on for as long as it may. */
const BEGUN = { count: 1, size: 10, endless: true };
const tooLarge = { code: Code.ResourceExhausted, reason: 'REQUEST_TOO_LARGE' };
const large = (kib: number) => ({ 'x-large': 'y'.repeat(kib * 1024) });
const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, 'y']));

describeBothPaths('metadata over 16 KiB', ({ env, fastPath, dialects }) => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    service = await startService({ services: [echo.service], env: { ...env, ...NO_PROXY } });
  });

  for (const kib of SIZES_KIB) {
    it(`W02 is refused at the first call of an HTTP/2 connection, and the limit named: ${kib} KiB`, async () => {
      const { begun } = echo;
      const headers = large(kib);
      const concerned = OVER_HTTP2.filter((dialect) => dialects.includes(dialect));
      for (const dialect of concerned) {
        await holds(service, { method: unary, headers, dialects: [dialect], refused: tooLarge });
        const { refused } = await observe(service, dialect, { method: unary, headers });
        assert.match(refused?.message ?? '', /larger than 16384 bytes/, dialect);
      }
      await holds(service, {
        method: serverStream,
        headers,
        dialects: ['grpc'],
        refused: tooLarge,
      });
      assert.equal(echo.begun, begun);
    });
  }

  it('is taken up to that', async () => {
    await holds(service, { method: unary, headers: large(15), dialects });
  });

  for (const [what, headers, isAnswered] of [
    ['17 KiB', large(17), true],
    ['60 KiB', large(60), true],
    ['150 fields', many(150), true],
    // More than node:http2 lets anyone see.
    ['66 KiB', large(66), false],
    ['450 fields', many(450), false],
  ] as const) {
    it(`W02 is ${isAnswered ? 'refused' : 'reset'} on an HTTP/2 connection that has been open: ${what}`, async () => {
      const { grpcAddress, httpAddress } = service.app;
      for (const address of fastPath === 'on' ? [grpcAddress, httpAddress] : [grpcAddress]) {
        const session = connect(`http://${address}`, { maxSendHeaderBlockLength: 1 << 20 });
        await once(session, 'remoteSettings');
        await new Promise((resolve) => session.ping(resolve));
        const type = address === grpcAddress ? 'application/grpc' : 'application/json';
        const path = `${pathOf(unary)}?query=not-logged`;
        const request = { ':method': 'POST', ':path': path, 'content-type': type };
        const stream = session.request({ ...request, ...headers }, { endStream: false });
        let answer = '';
        stream.on('response', (got) => {
          answer += `${got[':status']} ${got['grpc-message']}`;
        });
        stream.setEncoding('utf8').on('data', (text) => {
          answer += text;
        });
        stream.on('error', () => {}).end('{}');
        await closed(stream);
        if (isAnswered)
          assert.match(decodeURI(answer), /^(200|431) .*larger than 16384 bytes, or more than 100/);
        else assert.equal(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
        session.destroy();
      }
    });
  }

  // The rest is about HTTP/1.1.
  if (fastPath === 'off') return;

  for (const [what, headers] of [
    ...SIZES_KIB.map((kib) => [`${kib} KiB`, large(kib)] as const),
    ['150 fields', many(150)] as const,
  ]) {
    it(`W02 is refused over HTTP/1.1, and the limit named: ${what}`, async () => {
      for (const protocol of ['connect', 'grpc-web'] as const) {
        const call = service.client(EchoService, protocol).unary({ text: 'a' }, { headers });
        const { message, code, reason } = await refusal(call);
        assert.match(message, /larger than 16384 bytes/, protocol);
        if (protocol === 'connect')
          assert.deepEqual([code, reason], [tooLarge.code, tooLarge.reason]);
      }
    });
  }

  it('W02 is refused over HTTP/1.1 once, whatever follows', async () => {
    const more = Buffer.from(requestHead(large(40)).repeat(3));
    const bytes = [more, more, more];
    const { text, closed: ended } = await exchange(service.app.httpAddress, bytes, 5000);
    assert.ok(ended);
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1, text);
    assert.match(text, /^HTTP\/1\.1 431 [\s\S]*\r\nX-Request-Id: [\s\S]*16384 bytes/);
  });

  it('W02 is refused over HTTP/1.1 once by a proxy too, which may send more to /verify', async () => {
    const proxied = await startService({ services: [echo.service] });
    const more = Buffer.from(requestHead(large(40)).repeat(3));
    const { text, closed: ended } = await exchange(proxied.app.httpAddress, [more, more], 5000);
    assert.ok(ended);
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1, text);
    assert.match(text, /^HTTP\/1\.1 431 [\s\S]*16384 bytes/);
  });

  it('W02 is not answered in the middle of another answer on its connection', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    const begun = encode('connect', serverStream, create(ServerStreamRequestSchema, BEGUN));
    const body = encodeEnvelope(0, begun);
    socket.write(
      `POST ${pathOf(serverStream)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await eventually(() => text.includes('xxxxx'));
    socket.on('error', () => {}).write(requestHead(large(40)));
    await closed(socket);
    assert.doesNotMatch(text, / 431 /);
  });
});

function requestHead({ 'x-large': value }: { 'x-large': string }): string {
  return `POST ${pathOf(unary)} HTTP/1.1\r\nHost: a\r\nX-Large: ${value}\r\n\r\n`;
}
