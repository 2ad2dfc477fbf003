import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { migrations } from '../../migrations/index.ts';
import { atEnd } from '../harness/at-end.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { newEmail, PASSWORD, signedIn, signIn, signUp } from '../harness/people.ts';
import { MASTER_KEY, POSTGRES_URL, temporaryDirectory } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { POOLERS } from '../harness/scale.ts';
import { DEFAULT_LIMITS, type Service, startReplica, startService } from '../harness/service.ts';
import { lacking, type Program, startProgram } from '../program.ts';
import { freePort } from '../servers.ts';

/** Fewer sessions than replicas have connections: each is used by all of them in turn. */
const SESSIONS = 6;

/** PgBouncer in front of the test's PostgreSQL: for each database, one pool of sessions. */
class PgBouncer {
  readonly #file = join(temporaryDirectory(), 'pgbouncer.ini');
  #program: Program | undefined;
  #port = 0;

  /** Returns the URL of a database through it. */
  async configure(databaseUrl: string, settings = ''): Promise<string> {
    this.#port = await freePort();
    const { hostname, port, username, password } = new URL(POSTGRES_URL);
    writeFileSync(
      this.#file,
      `[databases]
       * = host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}
       [pgbouncer]
       listen_addr = 127.0.0.1
       listen_port = ${this.#port}
       unix_socket_dir =
       auth_type = any
       pool_mode = transaction
       default_pool_size = ${SESSIONS}
       max_client_conn = 500
       ${process.getuid?.() === 0 ? 'user = nobody' : ''}
       ${settings}`.replaceAll(/^ +/gm, ''),
    );
    chmodSync(this.#file, 0o600);
    const url = new URL(databaseUrl);
    url.port = String(this.#port);
    return url.href;
  }

  async start(): Promise<void> {
    const program = startProgram('pgbouncer', [this.#file]);
    this.#program = program;
    await eventually(
      () => program.text().includes('process up') || program.process.exitCode !== null,
    );
    assert.equal(program.process.exitCode, null, program.text());
  }

  kill(): Promise<void> | undefined {
    return this.#program?.end('SIGKILL');
  }
}

const KINDS = {
  'refuses settings': '',
  'ignores settings':
    'ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout',
};

describe('PgBouncer in transaction mode', { skip: lacking('pgbouncer') }, () => {
  for (const [kind, settings] of Object.entries(KINDS).slice(0, POOLERS)) {
    describe(`that ${kind}`, () => {
      const pooler = new PgBouncer();
      let direct: string;
      let service: Service;
      let replica: Service;

      before(async () => {
        direct = await createDatabase();
        const databaseUrl = await pooler.configure(direct, settings);
        await pooler.start();
        const options = { databaseUrl, env: { COUNTERSIGN_DB_POOL_MAX: '6' } };
        service = await startService(options);
        replica = await startReplica(service);
      });

      it('W06 lets people sign up, sign in and refresh, and the other replica hears of a revocation', async () => {
        const email = await signUp(service);
        const tokens = await signIn(replica, email);
        const refresh = (at: Service, refreshToken: string) =>
          at.auth.refreshToken({ refreshToken });
        let { refreshToken } = tokens;
        for (let round = 0; round < 20; round += 1) {
          const next = await refresh(round % 2 === 0 ? service : replica, refreshToken);
          refreshToken = next.tokens?.refreshToken ?? '';
        }
        const people = Array.from({ length: 4 }, (_, i) => signedIn(i % 2 ? service : replica));
        await Promise.all(
          (await Promise.all(people)).map((one) => refresh(service, one.refreshToken)),
        );
        const token = tokens.accessToken;
        const isActive = async (at: Service) =>
          (await at.sessions.introspectToken({ token })).active;
        assert.equal(await isActive(replica), true);
        await service.auth.logout({ refreshToken });
        await eventually(async () => !(await isActive(replica)));
      });

      it('W06 has the server end what waits too long in a transaction', async () => {
        const limited = await startReplica(service, { env: DEFAULT_LIMITS });
        const { email } = await signedIn(service);
        const holder = new pg.Client({ connectionString: direct });
        await holder.connect();
        atEnd(() => holder.end());
        await holder.query('begin; lock table sessions in access exclusive mode');
        const attempt = refusal(limited.auth.login({ email, password: PASSWORD }));
        const waiting = `select 1 from pg_locks where relation = 'sessions'::regclass and not granted`;
        await eventually(async () => (await sql(direct, waiting)).length > 0);
        assert.equal((await attempt).reason, 'DEPENDENCY_UNAVAILABLE');
        await eventually(async () => (await sql(direct, waiting)).length === 0);
        await holder.query('rollback');
        assert.equal((await signIn(limited, email)).tokenType, 'Bearer');
      });

      it('sets nothing that stays in a session after its transaction', async () => {
        const set = `select name from pg_settings where source = 'session'
          and name in ('statement_timeout', 'idle_in_transaction_session_timeout')`;
        for (let session = 0; session < SESSIONS; session += 1) {
          assert.deepEqual(await sql(service.databaseUrl, set), []);
        }
      });
    });
  }

  it('lets the schema be migrated', async () => {
    const direct = await createDatabase();
    await sql(direct, 'drop schema public cascade; create schema public; drop schema jobs cascade');
    const pooler = new PgBouncer();
    const env = {
      DATABASE_URL: await pooler.configure(direct),
      COUNTERSIGN_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_LOG_LEVEL: 'silent',
    };
    await pooler.start();
    const { code, text } = await runCommand(['migrate', '--json'], env);
    assert.equal(code, 0, text);
    assert.equal(JSON.parse(text).applied.length, migrations.length);
  });

  it('W06 that comes later, and is killed: the service finds it, and is whole again', async () => {
    const direct = await createDatabase();
    const pooler = new PgBouncer();
    const databaseUrl = await pooler.configure(direct);
    const service = await startService({ databaseUrl, waitUntilReady: false });
    await pooler.start();
    await service.app.ready;
    const email = await signUp(service);
    await pooler.kill();
    const { reason } = await refusal(signIn(service, email));
    assert.equal(reason, 'DEPENDENCY_UNAVAILABLE');
    await pooler.start();
    await eventually(() => signIn(service, email).then(Boolean, () => false));
  });

  it('that refuses a connection is named in the log', async () => {
    const direct = await createDatabase();
    const pooler = new PgBouncer();
    const databaseUrl = await pooler.configure(direct, 'max_client_conn = 1');
    await pooler.start();
    const holder = new pg.Client({ connectionString: databaseUrl });
    await holder.connect();
    const lines = await logLines(async () => {
      const service = await startService({ databaseUrl, waitUntilReady: false });
      await refusal(service.auth.signUp({ email: newEmail(), password: PASSWORD }));
      await service.app.stop();
    });
    await holder.end();
    assert.match(JSON.stringify(lines), /08P01 \(the pooler in front of the database/);
  });
});
