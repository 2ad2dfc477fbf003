import assert from 'node:assert/strict';
import { connect, constants, type Settings } from 'node:http2';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { BUG, Echo, EchoService } from './echo.ts';
import { DATA, frame, RawHttp2, RST_STREAM } from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

const SERVICE = EchoService.typeName;
const CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;
/** A request that says abc, and one that says too much. */
const MESSAGE = Buffer.from('00000000050a03616263', 'hex');
const LONG_TEXT = Buffer.concat([Buffer.from('00000007d30ad00f', 'hex'), Buffer.alloc(2000, 'x')]);
const CONTENT_TYPES = { grpc: 'application/grpc', connect: 'application/connect+proto' };

for (const protocol of ['grpc', 'connect'] as const) {
  describe(`a stream by ${protocol}`, () => {
    let service: Service;
    let echo: Echo;
    let client: Client<typeof EchoService>;

    before(async () => {
      echo = new Echo();
      service = await startService({ services: [echo.service] });
      client = streamingClient(service, protocol);
    });

    it('delivers the answers in order', async () => {
      const answers = await Array.fromAsync(client.serverStream({ count: 1000, size: 10 }));
      assert.deepEqual(
        answers.map(({ index }) => index),
        Array.from({ length: 1000 }, (_, i) => i),
      );
    });

    it('takes the requests in order', async () => {
      const texts = Array.from({ length: 500 }, (_, i) => `${i},`);
      const { text } = await client.clientStream(textsOf(texts));
      assert.equal(text, texts.join(''));
    });

    it('answers each request before the next one is sent', async () => {
      const sent: string[] = [];
      const got: string[] = [];
      const turns = Array.from({ length: 20 }, () => Promise.withResolvers<void>());
      async function* requests() {
        for (const [i, turn] of turns.entries()) {
          sent.push(`${i}`);
          yield { text: `${i}` };
          await turn.promise;
        }
      }
      for await (const { text } of client.bidiStream(requests())) {
        got.push(text);
        assert.deepEqual(got, sent);
        turns[got.length - 1]?.resolve();
      }
      assert.equal(got.length, turns.length);
    });

    it('ends in an error with its details if it fails midway, and reveals nothing about the bug', async () => {
      let seen = 0;
      const lines = await logLines(async () => {
        const refused = await refusal(
          (async () => {
            for await (const _ of client.serverStream({ count: 10, failAfter: 3 })) seen += 1;
          })(),
        );
        assert.equal(refused.code, Code.Internal);
        assert.equal(refused.reason, 'INTERNAL');
        assert.equal(refused.message, 'internal error');
        assert.match(refused.requestId ?? '', /^[0-9a-f-]{36}$/);
        await sleep(50);
      });
      assert.equal(seen, 3);
      assert.equal(JSON.stringify(lines).includes(BUG), false);
      const [line] = lines.filter(({ msg }) => msg === 'call');
      assert.equal(line?.['code'], 'INTERNAL');
      assert.match(String(line?.['stack']), /echo\.ts/);
    });

    it('is refused at the first message that breaks a rule, after the good ones before it', async () => {
      const refused = await refusal(client.clientStream(textsOf(['good', 'x'.repeat(1001)])));
      assert.equal(refused.code, Code.InvalidArgument);
      assert.equal(refused.reason, 'INVALID_REQUEST');
      assert.deepEqual(refused.fields, ['text']);
      const answered: string[] = [];
      const bidi = await refusal(
        (async () => {
          const requests = textsOf(['one', 'two', 'x'.repeat(1001), 'three']);
          for await (const { text } of client.bidiStream(requests)) answered.push(text);
        })(),
      );
      assert.deepEqual(bidi.fields, ['text']);
      assert.deepEqual(answered, ['one', 'two']);
    });

    it('is refused at the first message over the limit', async () => {
      const refused = await refusal(client.clientStream(textsOf(['x'.repeat(70_000)])));
      assert.equal(refused.code, Code.ResourceExhausted);
      assert.equal(refused.reason, 'REQUEST_TOO_LARGE');
    });

    it('is not read from while its own reader does not read', async () => {
      const before = echo.pulled;
      const leaving = new AbortController();
      const request = { count: 1_000_000, size: 10_000 };
      const stream = client.serverStream(request, { signal: leaving.signal });
      const reader = stream[Symbol.asyncIterator]();
      await reader.next();
      let last = -1;
      await eventually(async () => {
        const pulled = echo.pulled - before;
        const stands = pulled === last;
        last = pulled;
        await sleep(100);
        return stands;
      });
      // What the windows of HTTP/2 and the buffers of both ends hold, and no more.
      assert.ok(last > 0 && last < 2000, `${last}`);
      for (let i = 0; i < 500; i += 1) await reader.next();
      await eventually(() => echo.pulled - before > last);
      leaving.abort();
      await eventually(() => echo.ended === echo.begun);
    });

    it('tells its method that the caller has gone, whether the method waits or writes', async () => {
      for (const request of [
        { endless: true, count: 1 },
        { count: 1_000_000, size: 10_000 },
      ]) {
        const stops = echo.stops.length;
        const lines = await logLines(async () => {
          const leaving = new AbortController();
          const stream = client.serverStream(request, { signal: leaving.signal });
          const reader = stream[Symbol.asyncIterator]();
          await reader.next();
          await sleep(200);
          leaving.abort();
          await reader.next().catch(() => {});
          await eventually(() => echo.ended === echo.begun);
          await sleep(50);
        });
        const [reason] = echo.stops.slice(stops);
        assert.equal(ConnectError.from(reason).rawMessage, 'the caller went away');
        const calls = lines.filter(({ method }) => method === `${SERVICE}/ServerStream`);
        assert.deepEqual(
          calls.map(({ code, reason }) => [code, reason]),
          [['CANCELLED', 'CANCELLED']],
        );
      }
    });

    it('delivers its answers and then its error to a caller who reads late', async () => {
      const own = new Echo();
      const service = await startService({ services: [own.service] });
      // A window that the first answer does not leave room in.
      const stream = byHand(service, protocol, 'BidiStream', { initialWindowSize: 8 });
      stream.write(Buffer.concat([MESSAGE, MESSAGE, MESSAGE]));
      await eventually(() => own.answered === 3);
      let stopping: Promise<void> | undefined;
      const lines: Record<string, unknown>[] = [];
      await logLines(async () => {
        stopping = service.app.stop();
        await eventually(() => lines.some(({ msg }) => msg === 'call'));
      }, lines);
      let status: unknown;
      stream.once('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      const chunks: Buffer[] = await stream.toArray();
      const body = Buffer.concat(chunks).toString('latin1');
      assert.equal(body.split('abc').length - 1, 3);
      if (protocol === 'grpc') assert.equal(status, String(Code.Unavailable));
      else assert.match(body, /SHUTTING_DOWN|unavailable/);
      stream.session?.destroy();
      await stopping;
    });

    it('is refused in the middle of its requests, while its caller goes on', async () => {
      for (const method of ['ClientStream', 'BidiStream']) {
        const lines: Record<string, unknown>[] = [];
        await logLines(async () => {
          const stream = byHand(service, protocol, method);
          let status: unknown;
          for (const event of ['response', 'trailers']) {
            stream.on(event, (headers) => {
              status ??= headers['grpc-status'];
            });
          }
          stream.write(LONG_TEXT);
          const chunks: Buffer[] = await stream.toArray();
          const body = Buffer.concat(chunks).toString('latin1');
          if (protocol === 'grpc') assert.equal(status, String(Code.InvalidArgument), method);
          else assert.match(body, /invalid_argument/, method);
          await eventually(() => lines.some(({ msg }) => msg === 'call'));
        }, lines);
        const codes = lines.filter(({ msg }) => msg === 'call').map(({ code }) => code);
        assert.deepEqual(codes, ['INVALID_ARGUMENT'], method);
      }
    });

    it('W02 is reset if its caller takes nothing of what comes before its error', async () => {
      const own = new Echo();
      const limits = { readerStallMs: 200 };
      const impatient = await startService({ services: [own.service], limits });
      const stream = byHand(impatient, protocol, 'BidiStream', { initialWindowSize: 8 });
      stream.on('error', () => {});
      stream.write(Buffer.concat([MESSAGE, MESSAGE, MESSAGE]));
      await eventually(() => own.answered === 3);
      stream.write(LONG_TEXT);
      await eventually(() => own.ended === own.begun);
      if (protocol === 'grpc') await eventually(() => stream.rstCode === CALM);
    });

    for (const method of ['BidiStream', 'ClientStream', 'Unary']) {
      it(`W02 is reset if nothing of its answers is taken for long: ${method}`, async () => {
        const own = new Echo();
        const limits = { maxUntakenMs: 300 };
        const impatient = await startService({ services: [own.service], limits });
        const isUnary = protocol === 'connect' && method === 'Unary';
        const type = isUnary ? 'application/proto' : CONTENT_TYPES[protocol];
        const stream = byHand(impatient, protocol, method, { initialWindowSize: 2 }, type);
        stream.on('error', () => {});
        const message = isUnary ? MESSAGE.subarray(5) : MESSAGE;
        if (method === 'BidiStream') stream.write(message);
        else stream.end(message);
        await eventually(() => stream.rstCode === CALM);
      });
    }

    it('does not count as complete if its caller cancels it in the middle', async () => {
      for (const method of ['ClientStream', 'BidiStream']) {
        const begun = echo.begun;
        const lines = await logLines(async () => {
          const raw = await RawHttp2.to(
            protocol === 'grpc' ? service.app.grpcAddress : service.app.httpAddress,
          );
          raw.call(1, `/${SERVICE}/${method}`, { 'content-type': CONTENT_TYPES[protocol] });
          raw.write(frame(DATA, 0, 1, Buffer.from('000000000c0a0a', 'hex')));
          raw.write(frame(DATA, 0, 1, Buffer.from('0123456789')));
          await eventually(() => echo.begun > begun);
          raw.write(frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
          await eventually(() => echo.ended === echo.begun);
          await sleep(50);
          raw.destroy();
        });
        const codes = lines.filter(({ msg }) => msg === 'call').map(({ code }) => code);
        assert.deepEqual(codes, ['CANCELLED'], method);
      }
    });
  });
}

describeBothPaths('a replica that stops', ({ env, protocols }) => {
  for (const protocol of protocols.filter((each) => each !== 'grpc-web')) {
    it(`W04 ends streams by ${protocol}, so that they go elsewhere, and finishes the calls in flight`, async () => {
      const echo = new Echo();
      const service = await startService({ services: [echo.service], env });
      const client = streamingClient(service, protocol);
      const signal = AbortSignal.timeout(10_000);
      const streams = {
        server: refusal(
          Array.fromAsync(client.serverStream({ endless: true, count: 1 }, { signal })),
        ),
        client: refusal(client.clientStream(unending(), { signal })),
        bidi: refusal(Array.fromAsync(client.bidiStream(unending(), { signal }))),
      };
      const unary = client.unary({ text: 'late', sleepMs: 800 });
      await eventually(() => echo.begun === 4);
      await service.app.stop();
      for (const [kind, refused] of Object.entries(streams)) {
        const { code, reason, retryAfterMs } = await refused;
        assert.equal(code, Code.Unavailable, kind);
        assert.equal(reason, 'SHUTTING_DOWN', kind);
        assert.equal(retryAfterMs, 0, kind);
      }
      assert.equal((await unary).text, 'late');
    });
  }
});

describeBothPaths('a replica that stops with a call that does not end', (path) => {
  for (const protocol of path.protocols.filter((each) => each !== 'grpc-web')) {
    it(`waits for its grace period, and no longer, by ${protocol}`, async () => {
      const echo = new Echo();
      const env = { ...path.env, COUNTERSIGN_SHUTDOWN_GRACE: '1s' };
      const service = await startService({ services: [echo.service], env });
      const client = streamingClient(service, protocol);
      const unary = client.unary({ failure: 'deaf', sleepMs: 6000 }).catch(ConnectError.from);
      const unread = client.serverStream({ count: 1_000_000, size: 10_000 });
      await unread[Symbol.asyncIterator]().next();
      await eventually(() => echo.begun === 2);
      const start = performance.now();
      await service.app.stop();
      const tookMs = performance.now() - start;
      assert.ok(tookMs > 1000 && tookMs < 4000, `${tookMs}`);
      assert.ok((await unary) instanceof ConnectError);
    });
  }
});

/** A call whose answers wait until they are read. */
function byHand(
  { app }: Service,
  protocol: 'grpc' | 'connect',
  method: string,
  settings: Settings = {},
  type = CONTENT_TYPES[protocol],
) {
  const address = protocol === 'grpc' ? app.grpcAddress : app.httpAddress;
  const session = connect(`http://${address}`, { settings });
  session.on('error', () => {});
  atEnd(() => session.destroy());
  return session.request({
    ':method': 'POST',
    ':path': `/${SERVICE}/${method}`,
    'content-type': type,
  });
}

/** Over HTTP/2, on a connection of its own: Connect can't stream both ways over HTTP/1.1. */
function streamingClient(
  { app }: Service,
  protocol: 'grpc' | 'connect',
): Client<typeof EchoService> {
  const transport =
    protocol === 'grpc'
      ? createGrpcTransport({ baseUrl: `http://${app.grpcAddress}` })
      : createConnectTransport({ baseUrl: `http://${app.httpAddress}`, httpVersion: '2' });
  return createClient(EchoService, transport);
}

async function* textsOf(texts: string[]): AsyncGenerator<{ text: string }> {
  for (const text of texts) yield { text };
}

/** One request, and then none for as long as the test lasts. */
async function* unending(): AsyncGenerator<{ text: string }> {
  yield { text: 'first' };
  await new Promise(() => {});
}
