import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { observe } from '../rpc/call-table.ts';
import { TcpProxy } from '../tcp-proxy.ts';

/** A part of the Redis server for this file alone, to be flushed. */
const OWN_REDIS = new URL('/11', REDIS_URL).href;
/** The promise is 250 ms on top of the work itself; a loaded machine gets more. */
const DEADLINE = { timeoutMs: 2000 };
/** Calls of Login in a minute. */
const ALLOWED = 30;
const ON = { COUNTERSIGN_RATE_LIMITS: 'on' };

const octet = () => 1 + Math.floor(Math.random() * 250);

describe('Redis', () => {
  const proxy = new TcpProxy(OWN_REDIS);
  /** Its limits are off: it only creates accounts. */
  let helper: Service;
  let replicas: [Service, Service];
  let redis: Redis;

  before(async () => {
    const env = { REDIS_URL: await proxy.listen(OWN_REDIS) };
    atEnd(() => proxy.close());
    redis = new Redis(OWN_REDIS);
    atEnd(() => redis.disconnect());
    helper = await startService();
    const replica = () => startReplica(helper, { env: { ...env, ...ON } });
    replicas = [await replica(), await replica()];
  });

  const isActive = async (at: Service, { accessToken: token }: Tokens) =>
    (await at.sessions.introspectToken({ token })).active;

  const statuses = () =>
    Promise.all(replicas.map(async ({ app }) => (await app.readiness()).status));

  /** What a load balancer is told. */
  const ready = ({ app }: Service) => fetch(`http://${app.httpAddress}/readyz`);

  const settled = () => eventually(async () => `${await statuses()}` === 'ready,ready', 10_000);

  async function signedOut(at: Service): Promise<Tokens> {
    const tokens = await signedIn(helper);
    await at.auth.logout({ refreshToken: tokens.refreshToken });
    return tokens;
  }

  async function assertRevoked(tokens: Tokens): Promise<void> {
    const { refreshToken } = tokens;
    for (const at of replicas) {
      // Without a hint the other one learns of it by its next look.
      await eventually(async () => !(await isActive(at, tokens)));
      const { reason } = await refusal(at.auth.refreshToken({ refreshToken }, DEADLINE));
      assert.equal(reason, 'TOKEN_REVOKED');
    }
  }

  /** Sign-in and refresh answer in good time, on every replica. */
  async function assertServing(email: string): Promise<void> {
    for (const at of replicas) {
      const { outcome } = await at.auth.login({ email, password: PASSWORD }, DEADLINE);
      assert.ok(outcome.case === 'tokens');
      const { refreshToken } = outcome.value;
      const { tokens } = await at.auth.refreshToken({ refreshToken }, DEADLINE);
      assert.ok(tokens && (await isActive(at, tokens)));
    }
  }

  /** A revocation by either replica reaches the other, though no hint of it does. */
  async function assertReached(): Promise<void> {
    for (const [from, to] of [replicas, replicas.toReversed()] as [Service, Service][]) {
      const tokens = await signedIn(helper);
      assert.equal(await isActive(to, tokens), true);
      await from.auth.logout({ refreshToken: tokens.refreshToken }, DEADLINE);
      assert.equal(await isActive(from, tokens), false);
      await eventually(async () => !(await isActive(to, tokens)));
    }
  }

  /** The reasons of so many calls of Login at once, each of which has an empty request. */
  async function reasons(calls: number, from: string, at: Service): Promise<string[]> {
    const { login: method } = AuthService.method;
    const all = Array.from({ length: calls }, () => observe(at, 'grpc', { method, from }));
    return (await Promise.all(all)).map(({ refused }) => refused?.reason ?? '');
  }

  const newAddress = () => `127.${octet()}.${octet()}.${octet()}`;
  const counted = (all: string[]) => all.filter((each) => each === 'INVALID_REQUEST').length;

  async function assertLimited(shared: boolean): Promise<void> {
    const [one, other] = replicas;
    const from = newAddress();
    assert.equal(counted(await reasons(ALLOWED + 5, from, one)), ALLOWED);
    const allowed = counted(await reasons(ALLOWED + 5, from, other));
    // A few more are allowed while these calls take their time.
    if (shared) assert.ok(allowed < ALLOWED / 2, `${allowed}`);
    else assert.equal(allowed, ALLOWED);
  }

  const flush = async () => {
    await redis.flushdb();
    await redis.script('FLUSH');
  };

  const AWAY = { down: () => proxy.down(), frozen: () => proxy.freeze() };

  for (const [state, begin] of Object.entries(AWAY)) {
    it(`W07 ${state}: signs in and refreshes, counts locally, and accepts nothing revoked`, async () => {
      await settled();
      const { email } = await signedIn(helper);
      const before = await signedOut(replicas[0]);
      begin();
      await assertServing(email);
      await assertRevoked(before);
      await assertReached();
      await assertLimited(false);
      assert.deepEqual(await statuses(), ['degraded', 'degraded']);
      const answer = await ready(replicas[0]);
      assert.equal(answer.status, 200);
      const { checks } = (await answer.json()) as { checks: Record<string, string> };
      const problems = Object.entries(checks).filter(([, is]) => is !== 'ok');
      assert.deepEqual(problems, [['redis', 'unavailable']]);
      const meanwhile = await signedOut(replicas[1]);
      // A replica that comes up now knows what has been revoked, too.
      const late = await startReplica(replicas[0]);
      for (const each of [before, meanwhile]) assert.equal(await isActive(late, each), false);
      assert.equal((await signIn(late, email)).tokenType, 'Bearer');
      proxy.open();
      await settled();
      for (const each of [before, meanwhile]) await assertRevoked(each);
      await assertLimited(true);
    });
  }

  it('W10 down and back empty: what was used up on a replica stays used up there', async () => {
    await settled();
    const [one, other] = replicas;
    const from = newAddress();
    assert.equal(counted(await reasons(ALLOWED, from, one)), ALLOWED);
    proxy.down();
    assert.equal(counted(await reasons(5, from, one)), 0);
    assert.equal(counted(await reasons(ALLOWED + 5, from, other)), ALLOWED);
    await flush();
    proxy.open();
    await settled();
    assert.equal(counted(await reasons(5, from, one)), 0);
    assert.equal(counted(await reasons(5, from, other)), 0);
  });

  it('W07 flushed: nothing changes except that replicas forget what others have counted', async () => {
    await settled();
    const { email } = await signedIn(helper);
    const before = await signedOut(replicas[0]);
    await flush();
    await assertServing(email);
    await assertRevoked(before);
    await assertReached();
    await assertLimited(true);
    assert.deepEqual(await statuses(), ['ready', 'ready']);
  });

  it('W07 failed over to an empty server: works meanwhile, and with the new server afterwards', async () => {
    await settled();
    const { email } = await signedIn(helper);
    const before = await signedOut(replicas[0]);
    proxy.down();
    await assertServing(email);
    // From here on, the server behind the address knows neither keys nor scripts.
    await flush();
    proxy.open();
    await assertServing(email);
    await assertRevoked(before);
    await assertReached();
    await settled();
    await assertLimited(true);
  });
});
