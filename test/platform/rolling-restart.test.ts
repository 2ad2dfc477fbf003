import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import {
  IntrospectTokenRequestSchema,
  IntrospectTokenResponseSchema,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { type Environment, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { signedIn } from '../harness/people.ts';
import { startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';

const METHOD = '/countersign.v1.SessionService/IntrospectToken';

/** A grpc-js client that knows both replicas, as clients behind a headless service do. */
function balancedClient(addresses: string[]): grpc.Client {
  const client = new grpc.Client(`ipv4:${addresses.join(',')}`, grpc.credentials.createInsecure(), {
    'grpc.service_config': JSON.stringify({
      loadBalancingConfig: [{ round_robin: {} }],
    }),
    'grpc.max_reconnect_backoff_ms': 200,
    'grpc.initial_reconnect_backoff_ms': 50,
  });
  atEnd(() => client.close());
  return client;
}

function introspect(client: grpc.Client, token: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      METHOD,
      (message) =>
        Buffer.from(
          toBinary(IntrospectTokenRequestSchema, create(IntrospectTokenRequestSchema, message)),
        ),
      (bytes) => fromBinary(IntrospectTokenResponseSchema, bytes),
      { token },
      { deadline: Date.now() + 10_000 },
      (error, answer) => (error ? reject(error) : resolve(answer?.active ?? false)),
    );
  });
}

describe('SIGTERM', () => {
  it('W04 fails no call in a rolling restart of two replicas under load', async () => {
    const databaseUrl = await createDatabase();
    const helper = await startService({ databaseUrl });
    const { accessToken } = await signedIn(helper);
    const replica = async (): Promise<Environment> => ({
      DATABASE_URL: databaseUrl,
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      COUNTERSIGN_ISSUER: 'https://issuer.test',
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      COUNTERSIGN_LOG_LEVEL: 'warn',
      COUNTERSIGN_GRPC_ADDR: `127.0.0.1:${await freePort()}`,
    });
    const envs = [await replica(), await replica()] as const;
    const children = [await spawnService(envs[0]), await spawnService(envs[1])];
    atEnd(() => Promise.all(children.map((child) => child.end())));
    const client = balancedClient(children.map((child) => child.grpcAddress));

    let running = true;
    let answered = 0;
    const failures: unknown[] = [];
    const caller = async () => {
      while (running) {
        const active = await introspect(client, accessToken).catch((error) => failures.push(error));
        if (active !== true) failures.push(active);
        answered += 1;
        await sleep(20);
      }
    };
    const callers = Array.from({ length: 8 }, caller);
    for (const [index, env] of envs.entries()) {
      await sleep(500);
      assert.equal(await children[index]?.end(), 0);
      children[index] = await spawnService(env);
      // Until clients have found it again, there is only one to take away.
      await sleep(1000);
    }
    running = false;
    await Promise.all(callers);
    assert.deepEqual(failures, []);
    assert.ok(answered > 100);
  });

  it('W04 finishes the call in flight, says NOT_SERVING meanwhile, and ends with 0', async () => {
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      COUNTERSIGN_ARGON2_TIME_COST: '60',
      COUNTERSIGN_LOG_LEVEL: 'warn',
    });
    const signUp = fetch(`http://${child.httpAddress}/countersign.v1.AuthService/SignUp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'last@example.com', password: 'correct horse battery' }),
    });
    await sleep(200);
    const ended = child.end();
    await sleep(100);
    const readyz = await fetch(`http://${child.httpAddress}/readyz`);
    assert.equal(readyz.status, 503);
    assert.equal((await signUp).status, 200);
    assert.equal(await ended, 0);
  });
});
