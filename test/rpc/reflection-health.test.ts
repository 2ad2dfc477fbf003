import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { newEmail, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { DEFAULT_LIMITS, type Service, startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';
import { TcpProxy } from '../tcp-proxy.ts';

/** `buf curl`, as people call it. Not spawnSync: the service runs in this process. */
async function bufCurl(...args: string[]): Promise<string> {
  const child = spawn('buf', ['curl', '--http2-prior-knowledge', '--protocol', 'grpc', ...args]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  await once(child, 'close');
  return text;
}

describe('server reflection', () => {
  let service: Service;
  let url: string;

  before(async () => {
    service = await startService();
    url = `http://${service.app.grpcAddress}`;
  });

  for (const version of ['grpc-v1', 'grpc-v1alpha']) {
    it(`lists every method, by ${version}`, async () => {
      const methods = await bufCurl('--reflect-protocol', version, '--list-methods', url);
      for (const method of [
        'countersign.v1.AuthService/SignUp',
        'countersign.v1.SessionService/BatchIntrospectTokens',
        'grpc.health.v1.Health/Check',
      ]) {
        assert.ok(methods.split('\n').includes(method), `${method} in\n${methods}`);
      }
    });

    it(`describes a method well enough to call it, by ${version}`, async () => {
      const answer = await bufCurl(
        ...['--reflect-protocol', version, '-d', '{"token": "junk"}'],
        `${url}/countersign.v1.SessionService/IntrospectToken`,
      );
      assert.match(answer, /INTROSPECTION_REASON_INACTIVE/);
    });
  }

  it('lets a client call a method that it knows only by reflection, and see the details of its error', async () => {
    const answer = await bufCurl(
      ...['-d', '{"token": "junk"}'],
      `${url}/countersign.v1.AuthService/VerifyEmail`,
    );
    assert.match(answer, /google\.rpc\.ErrorInfo/);
    assert.match(answer, /google\.rpc\.BadRequest/);
  });
});

const FROM_MEMORY = ['', 'countersign.v1.SessionService', 'envoy.service.auth.v3.Authorization'];
const AUTH = 'countersign.v1.AuthService';

describe('grpc.health.v1', () => {
  it('W06 serves what it answers from memory without the database, until memory is too old', async () => {
    const databaseUrl = await createDatabase();
    const proxy = new TcpProxy(databaseUrl);
    atEnd(() => proxy.close());
    const env = { ...DEFAULT_LIMITS, COUNTERSIGN_STALENESS_LIMIT: '8s' };
    const service = await startService({ databaseUrl: await proxy.listen(databaseUrl), env });
    const { accessToken: token } = await signedIn(service);
    const isActive = async () => (await service.sessions.introspectToken({ token })).active;
    const health = healthClient(service.app.grpcAddress);
    const statuses = async () =>
      new Set(await Promise.all(FROM_MEMORY.map((name) => health.check(name))));
    const seen = { auth: [] as string[], whole: [] as string[] };
    health.watch(AUTH, (status) => seen.auth.push(status));
    health.watch('', (status) => seen.whole.push(status));
    assert.deepEqual([await health.check(AUTH), ...(await statuses())], ['SERVING', 'SERVING']);
    assert.deepEqual(await readyz(service), { code: 200, status: 'ready', database: 'ok' });
    assert.equal(await isActive(), true);

    proxy.freeze();
    await eventually(() => seen.auth.length >= 2);
    assert.deepEqual(seen, { auth: ['SERVING', 'NOT_SERVING'], whole: ['SERVING'] });
    assert.deepEqual([...(await statuses())], ['SERVING']);
    const degraded = { code: 200, status: 'degraded', database: 'unavailable' };
    assert.deepEqual(await readyz(service), degraded);
    assert.equal(await isActive(), true);

    await eventually(() => seen.whole.length >= 2, 30_000);
    assert.deepEqual([...(await statuses())], ['NOT_SERVING']);
    const gone = { code: 503, status: 'not ready', database: 'unavailable' };
    assert.deepEqual(await readyz(service), gone);
    assert.equal((await refusal(isActive())).code, Code.Unavailable);

    proxy.open();
    await eventually(() => seen.whole.length >= 3 && seen.auth.length >= 3);
    const there = ['SERVING', 'NOT_SERVING', 'SERVING'];
    assert.deepEqual(seen, { auth: there, whole: there });
    assert.deepEqual(await readyz(service), { code: 200, status: 'ready', database: 'ok' });
    assert.equal(await isActive(), true);
  });

  it('W13 says in /readyz which dependencies are left alone, and serves everything', async () => {
    const port = await freePort();
    const env = { SMTP_URL: `smtp://127.0.0.1:${port}` };
    const service = await startService({ env });
    const person = () =>
      service.auth.signUp({ email: newEmail(), password: PASSWORD, displayName: 'Pat' });
    await Promise.all([person(), person(), person()]);
    const answer = async () => {
      const response = await fetch(`http://${service.app.httpAddress}/readyz`);
      return { code: response.status, ...((await response.json()) as Body) };
    };
    await eventually(async () => (await answer()).checks['smtp'] === 'left alone', 20_000);
    const { code, status } = await answer();
    assert.deepEqual([code, status], [200, 'degraded']);
    assert.equal(await healthClient(service.app.grpcAddress).check(AUTH), 'SERVING');
  });
});

type Body = { status: string; checks: Record<string, string> };

async function readyz(service: Service) {
  const response = await fetch(`http://${service.app.httpAddress}/readyz`);
  const { status, checks } = (await response.json()) as Body;
  return { code: response.status, status, database: checks['database'] };
}

type Answer = { status: string };
type HealthStub = grpc.Client & {
  check(request: object, done: (error: Error | null, answer: Answer) => void): void;
  watch(request: object): grpc.ClientReadableStream<Answer>;
};

function healthClient(address: string) {
  const loaded = grpc.loadPackageDefinition(loadSync(protoPath, { enums: String }));
  const { Health } = (
    loaded as unknown as {
      grpc: { health: { v1: { Health: new (...args: unknown[]) => HealthStub } } };
    }
  ).grpc.health.v1;
  const stub = new Health(address, grpc.credentials.createInsecure());
  atEnd(() => stub.close());
  return {
    check: (name: string) =>
      new Promise<string>((resolve, reject) =>
        stub.check({ service: name }, (error, answer) =>
          error ? reject(error) : resolve(answer.status),
        ),
      ),
    watch(name: string, onStatus: (status: string) => void) {
      const stream = stub.watch({ service: name });
      stream.on('data', (answer: Answer) => onStatus(answer.status));
      stream.on('error', () => {});
      atEnd(() => stream.cancel());
    },
  };
}
