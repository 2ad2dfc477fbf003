import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { runErrand } from '../../src/accounts/run-errand.ts';
import { readConfig } from '../../src/config.ts';
import { Outbox } from '../../src/mail/outbox.ts';
import { operator } from '../../src/platform/caller.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { Jobs } from '../../src/platform/jobs.ts';
import { createLog } from '../../src/platform/log.ts';
import { noHints } from '../../src/platform/redis-hints.ts';
import { RevocationFeed } from '../../src/revocations/revocation-feed.ts';
import { openDatabase } from '../../src/schema.ts';
import { KeySet } from '../../src/signing-keys/key-set.ts';
import { Database } from '../../src/unit-of-work/database.ts';
import { Errands } from '../../src/unit-of-work/errands.ts';
import { type Child, spawnService } from '../child.ts';
import { testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, newEmail, PASSWORD } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { DEFAULT_LIMITS, type Service, startService } from '../harness/service.ts';

describe('What anyone may ask for an address', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: DEFAULT_LIMITS });
  });

  const asks: Record<string, (email: string) => Promise<unknown>> = {
    'signing up': (email) => service.auth.signUp({ email, password: PASSWORD, displayName: '' }),
    'another mail': (email) => service.auth.resendVerification({ email }),
    'a new password': (email) => service.auth.requestPasswordReset({ email }),
  };
  for (const [what, ask] of Object.entries(asks)) {
    it(`C04 is answered without a look at the account, twenty times at once: ${what}`, async () => {
      const email = await createAccount(service);
      const other = new pg.Client({ connectionString: service.databaseUrl });
      await other.connect();
      await other.query('begin');
      await other.query('select from accounts where email = $1 for update', [email]);
      try {
        await Promise.all(Array.from({ length: 20 }, () => ask(email)));
      } finally {
        await other.end();
      }
      await errandsRun(service);
    });
  }
});

describe('An errand', () => {
  /** The part that runs errands, without the replica around it. */
  async function started() {
    const url = await createDatabase();
    const config = readConfig({ DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: MASTER_KEY }, () => '');
    const [log, keyring, clock] = [createLog('silent'), testKeyring(), systemClock];
    const connection = await openDatabase(config, log);
    atEnd(() => connection.close());
    const jobs = new Jobs(connection, log);
    await jobs.start();
    atEnd(() => jobs.stop());
    const keys = new KeySet(connection, keyring);
    const common = { database: connection, clock, log, hints: noHints };
    const revocations = new RevocationFeed({ ...config, ...common, keys });
    const parts = { outbox: new Outbox(jobs, keyring), revocations };
    const database = new Database(connection, clock, parts);
    return { url, needs: { database, keyring, errands: new Errands(jobs, keyring) } };
  }

  it('E01 is run once, however often its job is performed', async () => {
    const { url, needs } = await started();
    const email = newEmail();
    const caller = { ...operator(), kind: 'anonymous' as const, ipAddress: '192.0.2.7' };
    const errand = { kind: 'sign_up' as const, email, displayName: '', passwordHash: 'x' };
    await needs.database.transaction(caller, (tx) => needs.errands.add(tx.em, caller, errand));
    const [job] = await sql<{ id: string; data: { body: string } }>(
      url,
      `update jobs.job set state = 'active' where name = 'errands' returning id, data`,
    );
    const run = () =>
      runErrand(needs, job?.data.body ?? '', job?.id ?? '', AbortSignal.timeout(20_000));
    await Promise.all(Array.from({ length: 8 }, run));
    await run();
    const events = await sql(
      url,
      'select type, ip_address as ip from audit_events where request_id = $1',
      [caller.requestId],
    );
    assert.deepEqual(events, [{ type: 'account.created', ip: '192.0.2.7' }]);
    assert.equal((await sql(url, `select from jobs.job where name = 'mail'`)).length, 1);
  });

  it('W05 is run by the next replica if this one is killed right after its answer', async () => {
    const databaseUrl = await createDatabase();
    const start = () =>
      spawnService({ DATABASE_URL: databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY });
    const signUp = (child: Child, email: string) =>
      clients(child).client(AuthService).signUp({ email, password: PASSWORD });
    const email = newEmail();
    const first = await start();
    await signUp(first, email);
    await first.end('SIGKILL');
    const accounts = () => sql(databaseUrl, 'select from accounts where email = $1', [email]);
    assert.equal((await accounts()).length, 0);
    const second = await start();
    await eventually(async () => (await accounts()).length === 1);
    await second.end();
  });
});
