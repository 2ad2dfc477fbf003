import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import {
  DEFAULT_LIMITS,
  PATIENT,
  type Service,
  startReplica,
  startService,
} from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';

const POOL = 4;
/**
 * The promise is one second on a quiet machine; a call that waited for PostgreSQL would wait forever.
 */
const AT_ONCE_MS = 8000;

function assertAway({ code, reason, retryAfterMs }: Refusal): void {
  const pair = `${Code[code]} ${reason}`;
  assert.match(pair, /^(Unavailable DEPENDENCY_UNAVAILABLE|ResourceExhausted OVERLOADED)$/);
  assert.ok(retryAfterMs !== undefined && retryAfterMs > 0);
}

describe('PostgreSQL', () => {
  let direct: string;
  let proxy: TcpProxy;
  let service: Service;
  /** A replica that never waits in vain, to sign people in. */
  let helper: Service;
  let tokens: Tokens;

  before(async () => {
    direct = await createDatabase();
    proxy = new TcpProxy(direct);
    service = await startService({
      databaseUrl: await proxy.listen(direct),
      env: { ...DEFAULT_LIMITS, COUNTERSIGN_DB_POOL_MAX: String(POOL) },
    });
    atEnd(() => proxy.close());
    helper = await startReplica(service, { databaseUrl: direct, env: PATIENT });
  });

  beforeEach(async () => {
    tokens = await signedIn(helper);
    await service.sessions.introspectToken({ token: tokens.accessToken });
  });

  const refresh = () => service.auth.refreshToken({ refreshToken: tokens.refreshToken });

  const isActive = async () =>
    (await service.sessions.introspectToken({ token: tokens.accessToken })).active;

  /** Every call that needs the database says at once that it is away. */
  async function assertRefusedAtOnce(): Promise<void> {
    const since = performance.now();
    const calls = [
      refresh(),
      service.auth.verifyEmail({ token: 'csm_AaH7ialWdMKYN-fBKEpXEg.x' }),
      service.auth.login({ email: 'a@b.co', password: 'whatever it may be' }),
      service.auth.logout({ refreshToken: tokens.refreshToken }),
    ];
    for (const each of await Promise.all(calls.map(refusal))) assertAway(each);
    assert.ok(performance.now() - since < AT_ONCE_MS);
  }

  /**
   * More calls at once than the pool has connections succeed, which never happens again once a connection
   * is lost. On a busy machine a call may wait too long for its turn: then all are made again.
   */
  async function assertPoolIsWhole(): Promise<void> {
    await eventually(async () => {
      const email = 'nobody@example.com';
      const calls = Array.from({ length: POOL * 4 }, () =>
        service.auth.resendVerification({ email }),
      );
      const settled = await Promise.allSettled([refresh(), ...calls]);
      return settled.every(({ status }) => status === 'fulfilled');
    });
  }

  it('W06 frozen: refuses soon, checks tokens from memory, and recovers', async () => {
    proxy.freeze();
    await assertRefusedAtOnce();
    assert.equal(await isActive(), true);
    await eventually(async () => (await service.app.readiness()).serves === 'from memory');
    assert.equal(await isActive(), true);
    proxy.open();
    await assertPoolIsWhole();
  });

  it('W06 down: refuses at once, checks tokens from memory, and recovers', async () => {
    proxy.down();
    await assertRefusedAtOnce();
    assert.equal(await isActive(), true);
    proxy.open();
    await assertPoolIsWhole();
    await eventually(async () => (await service.app.readiness()).status === 'ready');
  });

  it('W06 away for longer than memory is trusted: token checks fail, and say so', async () => {
    proxy.down();
    // Ten seconds, by a clock that no test sets.
    const isRefused = () =>
      isActive().then(
        () => false,
        () => true,
      );
    await eventually(isRefused, 60_000);
    assertAway(await refusal(isActive()));
    assert.equal((await service.app.readiness()).status, 'not ready');
    proxy.open();
    await eventually(() => isActive().catch(() => false));
  });

  it('W06 restarted under load: no call fails otherwise, and no connection is lost', async () => {
    const people = await Promise.all(Array.from({ length: 8 }, () => signedIn(helper)));
    let running = true;
    const seen: Refusal[] = [];
    const work = people.map(async ({ email }) => {
      while (running) {
        const attempt = service.auth.login({ email, password: 'correct horse battery staple' });
        await attempt.catch(async () => seen.push(await refusal(attempt)));
      }
    });
    for (let kill = 0; kill < 10; kill += 1) {
      await sleep(100);
      await terminateBackends(direct);
    }
    running = false;
    await Promise.all(work);
    for (const each of seen) assertAway(each);
    await assertPoolIsWhole();
  });

  it('W06 pool exhausted: refuses with a time to retry after, and recovers', async () => {
    const holder = new pg.Client({ connectionString: direct });
    await holder.connect();
    await holder.query('begin; lock table sessions in access exclusive mode');
    const since = performance.now();
    // Refreshes share two connections; each of the others takes one of its own.
    const logout = () => service.auth.logout({ refreshToken: tokens.refreshToken });
    const calls = Array.from({ length: POOL * 3 }, () => [refresh(), logout()]).flat();
    const refused = await Promise.all(calls.map(refusal));
    assert.ok(performance.now() - since < AT_ONCE_MS);
    for (const each of refused) assertAway(each);
    assert.ok(refused.some(({ reason }) => reason === 'OVERLOADED'));
    assert.equal(await isActive(), true);
    await holder.query('rollback');
    await holder.end();
    await assertPoolIsWhole();
  });
});

async function terminateBackends(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await client.end();
}
