import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Service, startService } from '../harness/service.ts';
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

describe('grpc.health.v1', () => {
  it('says about every service what /readyz says, and tells watchers when it changes', async () => {
    const databaseUrl = await createDatabase();
    const proxy = new TcpProxy(databaseUrl);
    atEnd(() => proxy.close());
    const service = await startService({ databaseUrl: await proxy.listen(databaseUrl) });
    const health = healthClient(service.app.grpcAddress);
    const seen: string[] = [];
    health.watch('countersign.v1.AuthService', (status) => seen.push(status));
    assert.equal(await health.check(''), 'SERVING');
    assert.equal(await health.check('countersign.v1.SessionService'), 'SERVING');
    assert.equal(await readyz(service), 200);
    proxy.down();
    await eventually(async () => (await health.check('')) === 'NOT_SERVING');
    assert.equal(await readyz(service), 503);
    proxy.open();
    await eventually(async () => (await health.check('')) === 'SERVING');
    await eventually(async () => (await readyz(service)) === 200);
    await eventually(() => seen.length >= 3);
    assert.deepEqual(seen, ['SERVING', 'NOT_SERVING', 'SERVING']);
  });
});

async function readyz(service: Service): Promise<number> {
  return (await fetch(`http://${service.app.httpAddress}/readyz`)).status;
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
