import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { after, afterEach, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../harness/eventually.ts';
import { type Service, startService } from '../harness/service.ts';
import { Echo, EchoService } from './echo.ts';
import {
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  hpack,
  RawHttp2,
  RST_STREAM,
  rawSocket,
  SETTINGS,
  WINDOW_UPDATE,
} from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';

const UNARY = `/${EchoService.typeName}/Unary`;
const CLIENT_STREAM = `/${EchoService.typeName}/ClientStream`;
const SERVER_STREAM = `/${EchoService.typeName}/ServerStream`;
/** `count` a million, `size` 10,000: more than any window holds. */
const ENDLESS = Buffer.from('000000000708c0843d18904e', 'hex');
/** `text` is "a". */
const MESSAGE = Buffer.from('00000000030a0161', 'hex');
const REFUSED_STREAM = 7;
const LIMIT_MS = 500;

const uncaught: Error[] = [];
const onUncaught = (error: Error) => uncaught.push(error);
process.on('uncaughtExceptionMonitor', onUncaught);
after(() => process.off('uncaughtExceptionMonitor', onUncaught));

describeBothPaths('callers who know the protocol too well', ({ env, fastPath, protocols }) => {
  let service: Service;
  let echo: Echo;
  let addresses: string[];

  before(async () => {
    echo = new Echo();
    service = await startService({
      services: [echo.service],
      env,
      limits: {
        bodyTimeoutMs: LIMIT_MS / 2,
        headersTimeoutMs: LIMIT_MS,
        streamIdleMs: LIMIT_MS,
        maxStreams: 200,
      },
    });
    addresses = [service.app.grpcAddress, service.app.httpAddress];
  });

  afterEach(async () => {
    for (const protocol of protocols) {
      const { text } = await service.client(EchoService, protocol).unary({ text: 'well' });
      assert.equal(text, 'well', protocol);
    }
    assert.deepEqual(uncaught, []);
  });

  /** Does something on a connection to each listener, by an HTTP/2 client that knows no rules. */
  async function onEach(work: (raw: RawHttp2, type: string) => unknown): Promise<void> {
    for (const [index, address] of addresses.entries()) {
      const raw = await RawHttp2.to(address);
      await Promise.resolve(
        work(raw, index === 0 ? 'application/grpc' : 'application/connect+proto'),
      ).finally(() => raw.destroy());
    }
  }

  it('W01 survives every method, including CONNECT, which has no path', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'X']) {
      await onEach(async (raw, type) => {
        const path: Record<string, string> =
          method === 'CONNECT' ? {} : { ':scheme': 'http', ':path': UNARY };
        const fields = { ':method': method, ...path, ':authority': 'a', 'content-type': type };
        raw.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack(fields)));
        await eventually(() => raw.got(HEADERS, 1) || raw.got(RST_STREAM, 1) || raw.closed);
      });
    }
  });

  it('W01 survives headers that grow when they are decompressed', async () => {
    // One field of 4 KB goes into the table; each further byte of the block stands for it again.
    const large = Buffer.concat([
      Buffer.from([0x40]),
      hpack({ 'x-a': 'v'.repeat(3900) }).subarray(1),
    ]);
    const block = Buffer.concat([callHeaders(UNARY), large, Buffer.alloc(12_000, 0xbe)]);
    await onEach(async (raw) => {
      raw.write(frame(HEADERS, END_HEADERS, 1, block));
      await eventually(() => raw.got(RST_STREAM, 1) || raw.got(HEADERS, 1) || raw.closed);
    });
  });

  it('W01 survives frames without content, and windows that overflow', async () => {
    await onEach(async (raw, type) => {
      raw.call(1, UNARY, { 'content-type': type });
      raw.write(Buffer.concat(Array.from({ length: 5000 }, () => frame(DATA, 0, 1))));
      raw.write(frame(WINDOW_UPDATE, 0, 1, Buffer.from([0x7f, 0xff, 0xff, 0xff])));
      raw.write(frame(WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])));
      raw.write(frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 0])));
      await eventually(() => raw.got(GOAWAY) || raw.closed);
    });
  });

  it('W01 survives calls whose connection breaks in the packet that they arrive in', async () => {
    await onEach(async (raw, type) => {
      const call = frame(HEADERS, END_HEADERS, 1, callHeaders(UNARY, { 'content-type': type }));
      // DATA belongs to a stream: for the connection itself it is an error.
      raw.write(Buffer.concat([call, frame(DATA, 0, 0, MESSAGE)]));
      await eventually(() => raw.closed);
    });
  });

  it('W01 survives trailers in the middle of a message', async () => {
    await onEach(async (raw, type) => {
      raw.call(1, UNARY, { 'content-type': type });
      raw.write(frame(DATA, 0, 1, Buffer.from([0, 0, 0, 0, 9, 1])));
      raw.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, hpack({ 'x-trailer': 'yes' })));
      await eventually(() => raw.got(HEADERS, 1) || raw.got(RST_STREAM, 1) || raw.closed);
    });
  });

  it('reads a message that arrives a byte at a time, and refuses one that claims to be larger', async () => {
    const raw = await RawHttp2.to(service.app.grpcAddress);
    const send = (stream: number, request: Buffer) => {
      raw.call(stream, UNARY, { 'content-type': 'application/grpc' });
      for (const [place] of request.entries()) {
        const end = place === request.length - 1 ? END_STREAM : 0;
        raw.write(frame(DATA, end, stream, request.subarray(place, place + 1)));
      }
    };
    send(1, MESSAGE);
    await eventually(() => raw.got(DATA, 1));
    send(3, Buffer.from('00ffffffff0a0161', 'hex'));
    await eventually(() => raw.got(HEADERS, 3));
    assert.equal(raw.got(DATA, 3), false);
    raw.destroy();
  });

  it('W02 refuses streams above the limit, and closes the others if nothing follows on them', async () => {
    await onEach(async (raw, type) => {
      const streams = Array.from({ length: 300 }, (_, i) => 2 * i + 1);
      for (const stream of streams) raw.call(stream, UNARY, { 'content-type': type });
      await eventually(() => streams.every((each) => raw.got(RST_STREAM, each)) || raw.closed);
      const refused = raw.received.filter(
        ({ type, payload }) => type === RST_STREAM && payload.readUInt32BE() === REFUSED_STREAM,
      );
      // On a busy machine, the first have timed out before the last come.
      assert.ok(raw.closed || refused.length > 0);
    });
  });

  it('W02 says why it closes a call whose request does not arrive', async () => {
    const session = connect(`http://${service.app.grpcAddress}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': UNARY,
      'content-type': 'application/grpc',
    });
    const [headers] = await once(stream, 'response');
    assert.equal(headers['grpc-status'], '4');
    session.destroy();
    for (const type of ['application/json', 'application/grpc-web+proto']) {
      const socket = await rawSocket(service.app.httpAddress);
      socket.write(
        `POST ${UNARY} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 99\r\n\r\n\0`,
      );
      const answer = (await Array.fromAsync(socket)).join('');
      assert.match(answer, /deadline_exceeded|grpc-status: 4/, type);
    }
  });

  // The rest is about streams, which the fast path never takes.
  if (fastPath === 'off') return;

  it('W02 closes a stream whose reader does not read, and stops its method', async () => {
    await onEach(async (raw, type) => {
      raw.call(1, SERVER_STREAM, { 'content-type': type });
      raw.write(frame(DATA, END_STREAM, 1, ENDLESS));
      await eventually(() => echo.pulled > 0);
      await eventually(() => raw.got(RST_STREAM, 1) && echo.ended === echo.begun);
    });
  });

  it('W02 closes a stream whose reader gives it no window at all', async () => {
    await onEach(async (raw, type) => {
      raw.write(frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
      const streams = [1, 3, 5, 7];
      for (const stream of streams) {
        raw.call(stream, CLIENT_STREAM, { 'content-type': type });
        raw.write(frame(DATA, END_STREAM, stream, MESSAGE));
      }
      await eventually(() => streams.every((each) => raw.got(RST_STREAM, each)));
    });
  });

  it('W02 keeps a stream on which something moves', async () => {
    await onEach(async (raw, type) => {
      raw.call(1, `/${EchoService.typeName}/BidiStream`, { 'content-type': type });
      for (let turn = 0; turn < 8; turn += 1) {
        raw.write(frame(DATA, 0, 1, MESSAGE));
        await sleep(LIMIT_MS / 3);
      }
      assert.equal(raw.got(RST_STREAM, 1) || raw.closed, false);
      assert.equal(raw.received.filter(({ type, stream }) => type === DATA && stream).length, 8);
    });
    await eventually(() => echo.ended === echo.begun);
  });
});
