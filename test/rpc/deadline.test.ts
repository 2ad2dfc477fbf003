import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import pg from 'pg';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { timeLimit } from '../../src/rpc/deadlines.ts';
import { UnaryRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { createAccount, newEmail, PASSWORD } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { DEFAULT_LIMITS, type Service, startReplica, startService } from '../harness/service.ts';
import { holds, observe } from './call-table.ts';
import { Echo, EchoService } from './echo.ts';
import { describeBothPaths } from './unary-paths.ts';
import { type Dialect, isConnect } from './wire.ts';

const { unary } = EchoService.method;
const exceeded = { code: Code.DeadlineExceeded, reason: 'DEADLINE_EXCEEDED' };

const within = (connectMs: string, grpc: string) => (dialect: Dialect) =>
  isConnect(dialect) ? { 'connect-timeout-ms': connectMs } : { 'grpc-timeout': grpc };

describeBothPaths('a deadline', ({ env, protocols, dialects }) => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    service = await startService({
      services: [echo.service],
      env: { ...DEFAULT_LIMITS, ...env },
    });
  });

  it('W03 is kept over every protocol, even by work that does not listen', async () => {
    for (const failure of ['', 'deaf']) {
      const start = performance.now();
      await holds(service, {
        method: unary,
        dialects,
        body: create(UnaryRequestSchema, { failure, sleepMs: 4000 }),
        headers: within('150', '150m'),
        refused: exceeded,
      });
      assert.ok(performance.now() - start < 4000);
    }
  });

  it('W03 may have passed before the call arrives', async () => {
    await holds(service, {
      method: unary,
      dialects,
      body: create(UnaryRequestSchema, { failure: 'deaf', sleepMs: 100 }),
      headers: within('0', '0n'),
      refused: exceeded,
    });
  });

  it('W03 reaches the work, which stops', async () => {
    for (const dialect of dialects) {
      const stops = echo.stops.length;
      await observe(service, dialect, {
        method: unary,
        body: create(UnaryRequestSchema, { sleepMs: 60_000 }),
        headers: within('200', '200m'),
      });
      await eventually(() => echo.stops.length > stops);
      assert.match(String(echo.stops.at(-1)), /deadline/, dialect);
    }
    await eventually(() => echo.ended === echo.begun);
  });

  it('W03 ends a stream, with the same details', async () => {
    for (const protocol of protocols) {
      let got = 0;
      const lines = await logLines(async () => {
        const client = service.client(EchoService, protocol);
        const refused = await refusal(
          (async () => {
            const stream = client.serverStream({ endless: true, count: 3 }, { timeoutMs: 1500 });
            for await (const _ of stream) got += 1;
          })(),
        );
        assert.equal(refused.code, Code.DeadlineExceeded, protocol);
        await sleep(50);
      });
      assert.equal(got, 3);
      const [line] = lines.filter(({ msg }) => msg === 'call');
      assert.ok(['DEADLINE_EXCEEDED', 'CANCELLED'].includes(String(line?.['code'])), protocol);
    }
    await eventually(() => echo.ended === echo.begun);
  });

  it('W03 may be as long as the protocol allows, and is then cut to our own limit', async () => {
    const body = create(UnaryRequestSchema, { sleepMs: 50 });
    for (const [connectMs, grpc] of [
      ['9999999999', '99999999H'],
      ['2147483648', '2147484S'],
      ['600000', '10M'],
    ] as const) {
      await holds(service, { method: unary, dialects, body, headers: within(connectMs, grpc) });
    }
    assert.equal(timeLimit(false, undefined), 30_000);
    assert.equal(timeLimit(false, 60_000), 60_000);
    assert.equal(timeLimit(false, 3600_000), 300_000);
    assert.equal(timeLimit(true, undefined), undefined);
    assert.equal(timeLimit(true, 3600_000), 3600_000);
  });
});

describeBothPaths('a caller who goes away', ({ env: pathEnv, fastPath, protocols }) => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    const env = {
      ...pathEnv,
      ...DEFAULT_LIMITS,
      COUNTERSIGN_ARGON2_MEMORY_KIB: '65536',
      COUNTERSIGN_ARGON2_TIME_COST: '2',
    };
    service = await startService({ services: [echo.service], env });
  });

  it('W03 stops the work too, over every protocol', async () => {
    for (const protocol of protocols) {
      const lines = await logLines(async () => {
        const begun = echo.begun;
        const leaving = new AbortController();
        const call = service
          .client(EchoService, protocol)
          .unary({ sleepMs: 60_000 }, { signal: leaving.signal });
        await eventually(() => echo.begun > begun);
        leaving.abort();
        assert.equal((await refusal(call)).code, Code.Canceled);
        await eventually(() => echo.ended === echo.begun);
        await sleep(50);
      });
      const [line, ...more] = lines.filter(({ msg }) => msg === 'call');
      assert.deepEqual([line?.['code'], line?.['reason'], more], ['CANCELLED', 'CANCELLED', []]);
    }
  });

  it('W03 leaves nothing of a transaction in progress', async () => {
    // If signing in needs no verified address, a sign-up is settled in the call.
    const env = { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' };
    const lenient = await startReplica(service, { env });
    for (const protocol of protocols) {
      const email = newEmail();
      const unlock = await lockPasswords(service.databaseUrl);
      const call = lenient
        .client(AuthService, protocol)
        .signUp({ email, password: PASSWORD, displayName: '' }, { timeoutMs: 600 });
      assert.equal((await refusal(call)).code, Code.DeadlineExceeded, protocol);
      await eventually(async () => (await waiting(service.databaseUrl)) === 0);
      await unlock();
      const rows = await sql(service.databaseUrl, 'select 1 from accounts where email = $1', [
        email,
      ]);
      assert.equal(rows.length, 0, protocol);
    }
  });

  // What ends with the call is the same without the fast path, as the first test shows.
  if (fastPath === 'off') return;

  it('W03 hashes no password that is still waiting for its turn', async () => {
    const email = await createAccount(service);
    const login = (timeoutMs: number, as = email) =>
      service.auth.login({ email: as, password: PASSWORD, deviceLabel: '' }, { timeoutMs });
    const time = async (work: Promise<unknown>) => {
      const start = performance.now();
      await work;
      return performance.now() - start;
    };
    await login(20_000);
    const aloneMs = await time(login(20_000));
    // For many addresses: of one, few may wait.
    const impatient = Array.from({ length: 80 }, () =>
      login(100, newEmail()).catch(ConnectError.from),
    );
    for (const error of await Promise.all(impatient)) {
      assert.ok(error instanceof ConnectError && error.code === Code.DeadlineExceeded, `${error}`);
    }
    // Behind 80 others, two at a time, it would take 40 times as long.
    const behindMs = await time(login(60_000));
    assert.ok(behindMs < 15 * aloneMs + 500, `${behindMs} ms, alone ${aloneMs} ms`);
  });
});

/** Makes every sign-up wait in the middle of its transaction until the returned function is called. */
async function lockPasswords(databaseUrl: string): Promise<() => Promise<void>> {
  const lock = new pg.Client({ connectionString: databaseUrl });
  lock.on('error', () => {});
  await lock.connect();
  await lock.query('begin; lock table password_credentials in access exclusive mode');
  return () => lock.end();
}

/** Statements of the service that wait for a lock. */
async function waiting(databaseUrl: string): Promise<number> {
  const rows = await sql(
    databaseUrl,
    `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rows.length;
}
