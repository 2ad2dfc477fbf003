import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { afterEach, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { LIMITS } from '../../src/rpc/limits.ts';
import { type Child, residentBytes, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase } from '../harness/database.ts';
import { type Service, startService } from '../harness/service.ts';
import {
  CONTINUATION,
  callHeaders,
  closed,
  DATA,
  exchange,
  frame,
  HEADERS,
  hpack,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
} from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

const METHOD = '/countersign.v1.SessionService/IntrospectToken';
const GRPC = { 'content-type': 'application/grpc', te: 'trailers' };
const JSON_TYPE = { 'content-type': 'application/json' };
const FLOOD = 5000;
const GROWTH_BYTES = 100 * 1024 * 1024;

describeBothPaths('the wire, to hostile callers', ({ env, protocols }) => {
  let service: Child;
  let addresses: string[];
  let restingBytes: number;

  before(async () => {
    // A separate process: its memory must not be confused with that of its callers here.
    service = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      COUNTERSIGN_LOG_LEVEL: 'error',
      ...env,
    });
    atEnd(() => service.end());
    addresses = [service.grpcAddress, service.httpAddress];
    for (let round = 0; round < 20; round += 1) await serves();
    restingBytes = residentBytes(service);
  });

  /** Whether good clients are served, by every protocol. */
  async function serves(): Promise<void> {
    const { client } = clients(service);
    for (const protocol of protocols) {
      const answer = await client(SessionService, protocol).introspectToken({ token: 'x' });
      assert.equal(answer.active, false);
    }
  }

  afterEach(async () => {
    await serves();
    assert.equal(service.process.exitCode, null);
  });

  /** Opens a stream on each listener and waits until it has ended, however it ends. */
  async function request(headers: OutgoingHttpHeaders, body = ''): Promise<void> {
    for (const address of addresses) {
      const session = quietSession(address);
      const stream = session.request({ ':method': 'POST', ':path': METHOD, ...headers });
      stream.on('error', () => {}).resume();
      stream.end(body);
      await Promise.race([closed(stream), closed(session), sleep(3000)]);
      session.destroy();
    }
  }

  it('W01 survives an invalid authority or host', async () => {
    for (const authority of [
      '[',
      '%',
      'x:99999',
      'a b',
      '[::',
      'x'.repeat(5000),
      '\\',
      '@',
      '?#',
    ]) {
      await request({ ':authority': authority, ...JSON_TYPE }, '{}');
      await request({ ':authority': authority, ...GRPC });
      const lines = `POST ${METHOD} HTTP/1.1\r\nHost: ${authority}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
      const { closed: ended } = await exchange(service.httpAddress, [Buffer.from(lines)], 3000);
      assert.ok(ended, authority.slice(0, 20));
    }
  });

  it('W01 survives invalid paths', async () => {
    const paths = [
      '//',
      '*',
      'http://[/',
      '/%',
      '/%ff',
      `/${'a'.repeat(8000)}`,
      '/?',
      '///..//',
      '/\u00ff',
    ];
    for (const path of paths) {
      await request({ ':path': path, ...JSON_TYPE }, '{}').catch(() => {});
      for (const method of ['GET', 'POST', 'OPTIONS', 'PRI']) {
        const lines = `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
        await exchange(service.httpAddress, [Buffer.from(lines, 'latin1')], 1000);
      }
    }
  });

  it('W01 survives endless headers, in number and in size', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`x-${n}`, 'y']));
    await request({ ...JSON_TYPE, ...many }, '{}');
    await request({ ...GRPC, 'x-large': 'y'.repeat(40_000) });
    const lines = `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'y'.repeat(40_000)}\r\n\r\n`;
    const { text } = await exchange(service.httpAddress, [Buffer.from(lines)], 2000);
    assert.match(text, /^HTTP\/1\.1 431/);
  });

  it('W01 survives bytes that are not HTTP at all', async () => {
    const noise = [
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
      Buffer.alloc(100_000, 0xff),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
      Buffer.concat([PREFACE, Buffer.alloc(50_000, 0x7f)]),
      Buffer.from('PR'),
    ];
    for (const bytes of noise) {
      for (const address of addresses) await exchange(address, [bytes], 300);
    }
  });

  const floods: Record<string, () => Buffer[]> = {
    'streams that are reset at once': () => {
      const block = callHeaders(METHOD);
      return Array.from({ length: FLOOD }, (_, n) =>
        Buffer.concat([
          frame(HEADERS, 0x4, 2 * n + 1, block),
          frame(RST_STREAM, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8])),
        ]),
      );
    },
    pings: () => Array.from({ length: FLOOD }, () => frame(PING, 0, 0, Buffer.alloc(8))),
    settings: () => Array.from({ length: FLOOD }, () => frame(SETTINGS, 0, 0, Buffer.alloc(0))),
    'headers that never end': () => [
      frame(HEADERS, 0, 1, hpack({ ':method': 'POST' })),
      ...Array.from({ length: 1000 }, (_, n) =>
        frame(CONTINUATION, 0, 1, Buffer.alloc(4000, hpack({ [`x-${n}`]: 'y'.repeat(50) }))),
      ),
    ],
    'data for streams that are not open': () =>
      Array.from({ length: 1000 }, (_, n) => frame(DATA, 0, 2 * n + 1, Buffer.alloc(1000))),
  };

  for (const [name, make] of Object.entries(floods)) {
    it(`W01 survives a flood of ${name}`, async () => {
      const hello = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))]);
      for (const address of addresses) await exchange(address, [hello, ...make()], 2000);
    });
  }

  it('W01 survives odd frames and encodings of Connect and gRPC-Web', async () => {
    const url = `http://${service.httpAddress}${METHOD}`;
    const types = [
      ...['application/json', 'application/proto', 'application/connect+json'],
      ...['application/grpc-web', 'application/grpc-web+proto', 'application/grpc-web-text'],
      ...['application/grpc', 'text/plain', 'application/json; charset=utf-16', ';;;', ''],
    ];
    const bodies = [
      Buffer.alloc(0),
      Buffer.from([0x80, 0, 0, 0, 4, 1, 2, 3, 4]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0, 0, 0, 1]),
      Buffer.from('!!! not base64 !!!'),
      Buffer.from('[[[[[[['),
      Buffer.from('{"token":"\\ud800"}'),
    ];
    for (const type of types) {
      for (const body of bodies) {
        const headers = type === '' ? {} : { 'content-type': type };
        const answer = await fetch(url, { method: 'POST', headers, body });
        assert.notEqual(answer.status, 500, `${type} ${body.toString('hex')}`);
        await answer.arrayBuffer();
      }
      assert.ok((await fetch(url, { headers: { accept: type || '*' } })).status < 500);
    }
  });

  it('W01 has kept nothing of all this in memory', async () => {
    assert.ok(residentBytes(service) - restingBytes < GROWTH_BYTES);
  });
});

function quietSession(address: string): ClientHttp2Session {
  const session = connect(`http://${address}`);
  session.on('error', () => {});
  return session;
}

describeBothPaths('the limits of the listeners', ({ env }) => {
  const LIMIT_MS = 400;
  let service: Service;
  let addresses: string[];

  before(async () => {
    service = await startService({
      env,
      limits: { bodyTimeoutMs: LIMIT_MS, headersTimeoutMs: LIMIT_MS, streamIdleMs: LIMIT_MS * 2 },
    });
    addresses = [service.app.grpcAddress, service.app.httpAddress];
  });

  it('W02 are announced: concurrent streams, and the size of headers', async () => {
    for (const address of addresses) {
      const session = quietSession(address);
      const [settings] = await once(session, 'remoteSettings');
      assert.ok(settings.maxConcurrentStreams >= 1000);
      // What is between that and the limit is answered instead of reset.
      assert.equal(settings.maxHeaderListSize, 4 * LIMITS.maxHeaderBytes);
      session.destroy();
    }
  });

  it('W02 end a call whose request does not arrive', async () => {
    for (const [address, headers] of [
      [service.app.grpcAddress, GRPC],
      [service.app.httpAddress, JSON_TYPE],
      [service.app.httpAddress, { 'content-type': 'application/grpc-web+proto' }],
    ] as const) {
      for (const half of [undefined, Buffer.from([0, 0, 0])]) {
        const session = quietSession(address);
        const stream = session.request({ ':method': 'POST', ':path': METHOD, ...headers });
        stream.on('error', () => {}).resume();
        if (half) stream.write(half);
        const ended = closed(stream).then(() => true);
        assert.ok(await Promise.race([ended, sleep(10 * LIMIT_MS, false)]), String(headers));
        session.destroy();
      }
    }
  });

  it('W02 end a connection that says nothing', async () => {
    for (const address of addresses) {
      assert.ok((await exchange(address, [], 10_000)).closed, address);
      assert.ok((await exchange(address, [PREFACE], 10_000)).closed, address);
    }
  });

  it('W02 close a connection that sends more than is read, and stop reading', async () => {
    const head = `POST ${METHOD} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n`;
    const body = Buffer.alloc(200_000, 'x');
    const { closed: ended, text } = await exchange(
      service.app.httpAddress,
      [Buffer.from(head), body],
      5000,
    );
    assert.ok(ended);
    assert.match(text, /REQUEST_TOO_LARGE|resource_exhausted/);
    for (const [address, headers] of [
      [service.app.grpcAddress, GRPC],
      [service.app.httpAddress, JSON_TYPE],
    ] as const) {
      const session = quietSession(address);
      const stream = session.request({ ':method': 'POST', ':path': METHOD, ...headers });
      stream.on('error', () => {}).resume();
      stream.write(Buffer.concat([Buffer.from([0, 0, 16, 0, 0]), body]));
      const over = closed(stream).then(() => true);
      assert.ok(await Promise.race([over, sleep(5000, false)]), address);
      assert.notEqual(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
      session.destroy();
    }
  });

  it('W02 end an HTTP/1.1 connection whose request does not arrive', async () => {
    const head = `POST ${METHOD} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
    for (const bytes of [head, `${head}{"tok`, 'POST / HT', '']) {
      const { closed: ended } = await exchange(
        service.app.httpAddress,
        [Buffer.from(bytes)],
        15_000,
      );
      assert.ok(ended, JSON.stringify(bytes.slice(0, 10)));
    }
  });
});
