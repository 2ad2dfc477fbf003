import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { before, describe, it } from 'node:test';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/grpc/health/v1/health_pb.ts';
import { LIMITS } from '../../src/rpc/limits.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { sendGrpc } from './wire.ts';

/** A client on a connection of its own. */
function connected(service: Service, localAddress = '127.0.0.1') {
  const { hostname: host, port } = new URL(`http://${service.app.grpcAddress}`);
  const baseUrl = `http://${host}:${port}`;
  const createConnection = () => connect({ host, port: Number(port), localAddress });
  const sessionManager = new Http2SessionManager(baseUrl, {}, { createConnection });
  atEnd(() => sessionManager.abort());
  return createClient(Health, createGrpcTransport({ baseUrl, sessionManager }));
}

class Watcher {
  readonly told: Status[] = [];
  readonly ended: Promise<Refusal>;
  readonly #leaving = new AbortController();

  constructor(health: ReturnType<typeof connected>, service = '') {
    const { signal } = this.#leaving;
    this.ended = refusal(this.#read(health.watch({ service }, { signal })));
    this.ended.catch(() => {});
    atEnd(() => this.leave());
  }

  async #read(statuses: AsyncIterable<{ status: Status }>): Promise<void> {
    for await (const { status } of statuses) this.told.push(status);
  }

  /** Whether it is told anything, instead of being refused. */
  async isTaken(): Promise<boolean> {
    const refused = this.ended.then(() => true);
    await eventually(async () => {
      return this.told.length > 0 || (await Promise.race([refused, Promise.resolve(false)]));
    });
    return this.told.length > 0;
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.ended;
  }
}

describe('health and reflection, asked badly', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  it('W01 answer NOT_FOUND for an unknown service, which is no error of ours', async () => {
    const lines = await logLines(async () => {
      const refused = await refusal(connected(service).check({ service: 'no.such.Service' }));
      assert.deepEqual([refused.code, refused.reason], [Code.NotFound, 'NOT_FOUND']);
    });
    assertNoError(lines);
  });

  it('W01 tell the watcher of an unknown service that it is unknown, and continue', async () => {
    const unknown = new Watcher(connected(service), 'no.such.Service');
    assert.ok(await unknown.isTaken());
    assert.equal((await connected(service).check({})).status, Status.SERVING);
    await unknown.leave();
    assert.deepEqual(unknown.told, [Status.SERVICE_UNKNOWN]);
    assert.equal((await unknown.ended).code, Code.Canceled);
  });

  for (const path of [
    '/grpc.health.v1.Health/Check',
    '/grpc.health.v1.Health/List',
    '/grpc.health.v1.Health/Watch',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  ]) {
    it(`W01 refuse bytes that are no message as INVALID_ARGUMENT, which is no error of ours: ${path}`, async () => {
      const lines = await logLines(async () => {
        const { error } = await sendGrpc(service.app, path, Buffer.from('0000000002ffff', 'hex'));
        assert.equal(error?.code, Code.InvalidArgument);
      });
      assertNoError(lines);
    });
  }
});

describe('watching health', () => {
  it('lists every service', async () => {
    const service = await startService();
    const { statuses } = await connected(service).list({});
    assert.equal(statuses['']?.status, Status.SERVING);
    assert.equal(statuses['countersign.v1.AuthService']?.status, Status.SERVING);
  });

  it('W02 keeps a stream that gets no news, and repeats the present state', async () => {
    const service = await startService({ limits: { streamIdleMs: 400 } });
    const watcher = new Watcher(connected(service));
    await eventually(() => watcher.told.length >= 5);
    assert.deepEqual(new Set(watcher.told), new Set([Status.SERVING]));
    await watcher.leave();
    assert.equal((await watcher.ended).code, Code.Canceled);
  });

  it('W04 ends when the replica stops, after saying so', async () => {
    const service = await startService({ env: { COUNTERSIGN_SHUTDOWN_GRACE: '60s' } });
    const watcher = new Watcher(connected(service));
    assert.ok(await watcher.isTaken());
    await service.app.stop();
    const { code, reason } = await watcher.ended;
    assert.deepEqual(watcher.told, [Status.SERVING, Status.NOT_SERVING]);
    assert.deepEqual([code, reason], [Code.Unavailable, 'SHUTTING_DOWN']);
  });

  it('W02 accepts a limited number on one connection, and more on another', async () => {
    const limits = { ...LIMITS, maxHealthWatchersOfConnection: 2 };
    const service = await startService({ limits });
    const [one, two] = [connected(service), connected(service)];
    const first = new Watcher(one);
    assert.ok((await first.isTaken()) && (await new Watcher(one).isTaken()));
    await assertRefused(new Watcher(one));
    assert.ok(await new Watcher(two).isTaken());
    await first.leave();
    await eventually(() => new Watcher(one).isTaken());
  });

  it('W02 leaves places for others, however many connections one address opens', async () => {
    const service = await startService({ limits: { maxHealthWatchers: 8 } });
    const first = new Watcher(connected(service));
    assert.ok((await first.isTaken()) && (await new Watcher(connected(service)).isTaken()));
    await assertRefused(new Watcher(connected(service)));
    assert.ok(await new Watcher(connected(service, '127.0.0.2')).isTaken());
    await first.leave();
    await eventually(() => new Watcher(connected(service)).isTaken());
  });

  it('W02 accepts a limited number in all', async () => {
    const service = await startService({ limits: { maxHealthWatchers: 2, watcherShare: 1 } });
    assert.ok(await new Watcher(connected(service)).isTaken());
    assert.ok(await new Watcher(connected(service)).isTaken());
    await assertRefused(new Watcher(connected(service, '127.0.0.2')));
  });
});

async function assertRefused(watcher: Watcher): Promise<void> {
  assert.equal(await watcher.isTaken(), false);
  const { code, reason, retryAfterMs } = await watcher.ended;
  assert.deepEqual([code, reason], [Code.ResourceExhausted, 'OVERLOADED']);
  assert.ok(retryAfterMs);
}

function assertNoError(lines: Record<string, unknown>[]): void {
  assert.deepEqual(
    lines.filter(({ level, stack }) => level === 'error' || stack !== undefined),
    [],
  );
}
