import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { noteSecret } from '../harness/logs.ts';
import { PASSWORD as PERSON_PASSWORD, signedIn } from '../harness/people.ts';
import { MASTER_KEY, temporaryDirectory } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { FAILOVERS } from '../harness/scale.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { makeCertificate, skip } from '../http/certificates.ts';
import { lacking } from '../program.ts';
import {
  isMaster,
  listeners,
  PASSWORD,
  type RedisNode,
  SENTINEL_PASSWORD,
  startCluster,
  startSentinels,
} from '../redis-servers.ts';

/** The promise is 250 ms on top of the work itself; a loaded machine gets more. */
const TIMEOUT_MS = 4000;
/** Calls of Login in a minute. */
const ALLOWED = 30;

const octet = () => 1 + Math.floor(Math.random() * 250);
const anyone = () => ({ 'x-forwarded-for': `10.${octet()}.${octet()}.${octet()}` });

/** Signs in and refreshes without a pause until `stop`, from ever new addresses; any failure fails the test. */
function traffic(services: Service[], email: string) {
  let running = true;
  let calls = 0;
  const work = services.map(async ({ auth }) => {
    while (running) {
      const options = { timeoutMs: TIMEOUT_MS, headers: anyone() };
      const { outcome } = await auth.login({ email, password: PERSON_PASSWORD }, options);
      assert.ok(outcome.case === 'tokens');
      await auth.refreshToken({ refreshToken: outcome.value.refreshToken }, options);
      calls += 2;
    }
  });
  const all = Promise.all(work);
  all.catch(() => {});
  atEnd(() => {
    running = false;
  });
  return {
    calls: () => calls,
    stop: () => {
      running = false;
      return all;
    },
  };
}

/** How many of so many calls from one address are let through. */
async function allowed({ auth }: Service, headers: ReturnType<typeof anyone>, calls = ALLOWED + 5) {
  const attempts = Array.from({ length: calls }, () => refusal(auth.login({}, { headers })));
  const reasons = (await Promise.all(attempts)).map(({ reason }) => reason);
  return reasons.filter((reason) => reason !== 'RATE_LIMITED').length;
}

const KINDS = {
  Sentinels: startSentinels,
  'a Redis Cluster': startCluster,
};

const WAYS = {
  killed: (node: RedisNode) => node.program.end('SIGKILL'),
  frozen: async (node: RedisNode) => void node.program.process.kill('SIGSTOP'),
};

const CASES = [
  ['Sentinels', 'frozen'],
  ['Sentinels', 'killed'],
  ['a Redis Cluster', 'frozen'],
  ['a Redis Cluster', 'killed'],
] as const;
const isLong = FAILOVERS > 1;

describe('Redis', { skip: lacking('redis-server') }, () => {
  let helper: Service;

  before(async () => {
    for (const secret of [PASSWORD, SENTINEL_PASSWORD]) noteSecret(secret);
    helper = await startService();
  });

  async function assertShared([one, other]: [Service, Service]): Promise<void> {
    await eventually(async () => {
      const from = anyone();
      const first = await allowed(one, from);
      // A few more are allowed while these calls take their time.
      return first === ALLOWED && (await allowed(other, from)) < ALLOWED / 2;
    }, 60_000);
  }

  for (const [place, [kind, way]] of CASES.entries()) {
    it(`W07 behind ${kind}, master ${way}: every sign-in succeeds, limits hold, replicas follow`, async (t) => {
      if (place >= FAILOVERS) return t.skip('takes npm run test:long');
      const { url, nodes } = await KINDS[kind]();
      const env = {
        REDIS_URL: url,
        COUNTERSIGN_RATE_LIMITS: 'on',
        COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
      };
      const replica = () => startReplica(helper, { env });
      const replicas: [Service, Service] = [await replica(), await replica()];
      await eventually(async () => (await listeners(nodes)) === 2);
      await assertShared(replicas);
      const { email } = await signedIn(helper);
      const people = traffic(replicas, email);
      await eventually(() => people.calls() > 10);
      const [master, ...others] = nodes as [RedisNode, ...RedisNode[]];
      const known = await Promise.all(others.map(isMaster));
      await WAYS[way](master);
      const from = anyone();
      for (const each of replicas) assert.ok((await allowed(each, from, 70)) <= 2 * ALLOWED);
      await eventually(async () => {
        const now = await Promise.all(others.map(isMaster));
        return now.some((is, place) => is && !known[place]);
      }, 60_000);
      await eventually(async () => (await listeners(others)) === 2, 60_000);
      await assertShared(replicas);
      const { refreshToken, accessToken: token } = await signedIn(replicas[0]);
      await replicas[0].auth.logout({ refreshToken });
      await eventually(async () => {
        const { active } = await replicas[1].sessions.introspectToken({ token });
        return !active;
      });
      await people.stop();
      for (const { app } of replicas) {
        await eventually(async () => (await app.readiness()).status === 'ready');
        await app.stop();
      }
    });
  }

  for (const [kind, start] of Object.entries(KINDS)) {
    it(`W07 behind ${kind} is reached over TLS`, {
      skip: !isLong && 'takes npm run test:long',
    }, async (t) => {
      if (skip) return t.skip(skip);
      const files = makeCertificate(temporaryDirectory(), 'redis');
      const { url } = await start(files);
      const child = await spawnService({
        DATABASE_URL: await createDatabase(),
        COUNTERSIGN_MASTER_KEY: MASTER_KEY,
        REDIS_URL: url,
        NODE_EXTRA_CA_CERTS: files.cert,
      });
      await eventually(async () => {
        const answer = await fetch(`http://${child.httpAddress}/readyz`);
        return ((await answer.json()) as { checks: { redis: string } }).checks.redis === 'ok';
      });
      assert.equal(await child.end(), 0);
    });
  }
});
