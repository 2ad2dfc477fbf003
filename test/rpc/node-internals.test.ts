import assert from 'node:assert/strict';
import { after, before, describe, it, mock } from 'node:test';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { createLog } from '../../src/platform/log.ts';
import { CallFactory } from '../../src/rpc/call.ts';
import { CallDurations } from '../../src/rpc/call-durations.ts';
import { CallerMemory } from '../../src/rpc/caller-memory.ts';
import { UnaryFastPath as ConnectFastPath } from '../../src/rpc/connect/unary-fast-path.ts';
import { addConnectService } from '../../src/rpc/grpc/adapter.ts';
import { beginCalls } from '../../src/rpc/grpc/begin-call.ts';
import {
  http2ServerOptions,
  http2Servers,
  knowsSessions,
  methodHandlers,
  readMessages,
  replaceDecoder,
  streamCounter,
} from '../../src/rpc/grpc/node-internals.ts';
import { UnaryFastPath } from '../../src/rpc/grpc/unary-fast-path.ts';
import { UnknownInternals } from '../../src/rpc/grpc/unknown-internals.ts';
import { LIMITS } from '../../src/rpc/limits.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { Echo, EchoService } from './echo.ts';

const ACCESSORS = { http2ServerOptions, http2Servers, streamCounter, methodHandlers };

function bound(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

/** A `Map` that works, but that nothing recognises as one. */
function likeMap(map: Map<unknown, unknown>): Map<unknown, unknown> {
  return new Proxy(map, {
    get(_, name) {
      const value = Reflect.get(map, name, map);
      return typeof value === 'function' ? value.bind(map) : value;
    },
  });
}

/** Makes the servers that grpc-js creates keep a `Map` in another form, until the result is called. */
function reshape(name: string): () => void {
  const kept = new WeakMap<object, Map<unknown, unknown>>();
  let isOdd = true;
  Object.defineProperty(grpc.Server.prototype, name, {
    configurable: true,
    get() {
      return kept.get(this);
    },
    set(map: Map<unknown, unknown>) {
      kept.set(this, isOdd ? likeMap(map) : map);
    },
  });
  return () => {
    isOdd = false;
  };
}

describe('the internals of grpc-js and node:http2', () => {
  it('are as expected in the versions that the service runs on', async () => {
    const server = new grpc.Server();
    await bound(server);
    for (const [name, find] of Object.entries(ACCESSORS)) assert.ok(find(server), name);
    assert.equal(knowsSessions(), true);
    server.forceShutdown();
    const lines = await logLines(() => startService());
    assert.deepEqual(
      lines.filter(({ component }) => component === 'grpc'),
      [],
    );
  });

  it('are reported as unknown if they are missing or different', async () => {
    const server = new grpc.Server();
    await bound(server);
    const [http2] = http2Servers(server) ?? [];
    const another = () => {};
    http2?.on('stream', another);
    assert.equal(http2Servers(server), undefined);
    http2?.off('stream', another);
    for (const value of [undefined, null, 7, {}, []]) {
      const odd = new grpc.Server();
      const names = ['commonServerOptions', 'http2Servers', 'onStreamOpened', 'handlers'];
      for (const name of names) Reflect.set(odd, name, value);
      for (const [name, find] of Object.entries(ACCESSORS))
        assert.equal(find(odd), undefined, name);
      assert.equal(
        readMessages({ decompressMessage: value } as never, () => undefined),
        false,
      );
      const decoder = { write: () => [] };
      assert.equal(replaceDecoder({ decoder: value } as never, decoder), false);
    }
    server.forceShutdown();
  });
});

describe('a service on an unknown grpc-js', () => {
  const restore: (() => void)[] = [];
  const lines: Record<string, unknown>[] = [];
  const echo = new Echo();
  let service: Service;

  before(async () => {
    restore.push(reshape('http2Servers'), reshape('handlers'));
    await logLines(async () => {
      service = await startService({
        services: [echo.service],
        env: { COUNTERSIGN_SHUTDOWN_GRACE: '1s' },
      });
    }, lines);
  });

  after(() => {
    for (const each of restore) each();
  });

  it('says so in one line, with what it lacks', () => {
    const [line, ...more] = lines.filter(({ component }) => component === 'grpc');
    assert.deepEqual([line?.['level'], more], ['warn', []]);
    const problems = line?.['problems'] as string[];
    assert.deepEqual(
      problems.map((each) => each.split(':')[0]),
      ['methodHandlers', 'http2Servers'],
    );
    assert.match(String(line?.['version']), /^grpc-js 1\.\S+ on node \d+\./);
  });

  it('serves calls and streams, and refuses with the same details', async () => {
    const client = service.client(EchoService, 'grpc');
    assert.equal((await client.unary({ text: 'well' })).text, 'well');
    assert.equal((await Array.fromAsync(client.serverStream({ count: 3 }))).length, 3);
    const refused = await refusal(client.unary({ text: 'x'.repeat(1001) }));
    assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['text']]);
    const large = await refusal(client.unary({ text: 'x'.repeat(70_000) }));
    assert.equal(large.reason, 'REQUEST_TOO_LARGE');
  });

  it('stops within its grace period, even with a call that does not end', async () => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const call = service.client(EchoService).unary({ failure: 'deaf', sleepMs: 6000 }, { signal });
    const ended = refusal(call);
    await eventually(() => echo.begun > echo.ended);
    const start = performance.now();
    await service.app.stop();
    assert.ok(performance.now() - start < 4000);
    leaving.abort();
    assert.equal((await ended).code, Code.Canceled);
  });
});

describe('calls of an unknown form', () => {
  it('begin by the public interface of grpc-js', async () => {
    const lines: string[] = [];
    const log = createLog('info', { write: (line: string) => void lines.push(line) });
    const echo = new Echo();
    const serving = {
      services: [echo.service],
      interceptors: [],
      calls: new CallFactory([], new CallDurations()),
      log,
      limits: LIMITS,
      memory: new CallerMemory(LIMITS),
    };
    const unknown = new UnknownInternals(log);
    unknown.say();
    // Behind another interceptor, the innermost call is out of reach.
    const wrap: grpc.ServerInterceptor = (_, call) => new grpc.ServerInterceptingCall(call);
    const server = new grpc.Server({ interceptors: [wrap, beginCalls(serving, unknown)] });
    addConnectService(server, echo.service, serving);
    const port = await bound(server);
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
    const client = createClient(EchoService, transport);
    for (let round = 0; round < 2; round += 1) {
      const seen: Headers[] = [];
      const onHeader = (header: Headers) => void seen.push(header);
      const headers = { 'x-request-id': `plain-${round}` };
      const answer = await client.unary({ text: 'well' }, { headers, onHeader });
      assert.equal(answer.text, 'well');
      assert.equal(seen[0]?.get('x-request-id'), `plain-${round}`);
      const answers = await Array.fromAsync(client.serverStream({ count: 3 }));
      assert.equal(answers.length, 3);
      const refused = await refusal(client.unary({ failure: 'bug' }, { headers }));
      assert.deepEqual([refused.reason, refused.requestId], ['INTERNAL', `plain-${round}`]);
    }
    server.forceShutdown();
    assert.equal(lines.filter((line) => line.includes('innermostCall')).length, 1);
  });
});

describe('the fast path', () => {
  for (const [setting, protocol, path] of [
    ['on', 'grpc', UnaryFastPath],
    ['off', 'grpc', UnaryFastPath],
    ['on', 'connect', ConnectFastPath],
    ['off', 'connect', ConnectFastPath],
  ] as const) {
    it(`serves plain unary calls if and only if it is on: ${setting}, ${protocol}`, async () => {
      const paths: { prototype: { take: (...args: never[]) => boolean } } = path;
      const take = mock.method(paths.prototype, 'take');
      const service = await startService({
        services: [new Echo().service],
        env: { COUNTERSIGN_UNARY_FAST_PATH: setting },
      });
      const client = service.client(EchoService, protocol);
      assert.equal((await client.unary({ text: 'well' })).text, 'well');
      const taken = take.mock.calls.map(({ result }) => result);
      assert.deepEqual(taken, setting === 'on' ? [true] : []);
      take.mock.restore();
    });
  }
});
