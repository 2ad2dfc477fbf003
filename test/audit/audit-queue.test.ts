import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { AuditQueue } from '../../src/audit/audit-queue.ts';
import { readConfig } from '../../src/config.ts';
import { operator } from '../../src/platform/caller.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { createAccount, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { DEFAULT_LIMITS, type Service, startService } from '../harness/service.ts';

const caller = { ...operator(), requestId: 'audit-queue-test', ipAddress: '192.0.2.1' };

describe('Events that belong to no change', () => {
  let service: Service;
  let database: SqlDatabase;

  before(async () => {
    service = await startService({ env: DEFAULT_LIMITS });
    database = await openDatabase(
      readConfig(service.env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
  });

  const refusals = async (email: string) => {
    const rows = await sql(
      service.databaseUrl,
      `select e.id from audit_events e join accounts a on a.id = e.subject
       where e.type = 'sign_in.failed' and a.email = $1`,
      [email],
    );
    return rows.length;
  };

  it('wait while they cannot be written, and are written without help afterwards', async () => {
    const email = await createAccount(service);
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    await client.query('begin');
    await client.query('lock table audit_events in access exclusive mode');
    const waiting: Record<string, unknown>[] = [];
    await logLines(async () => {
      // The fifth would lock the account, which is a change with an event of its own.
      for (let i = 0; i < 4; i += 1) await refusal(signIn(service, email, `${PASSWORD}!`));
      await eventually(() => waiting.some(({ msg }) => msg === 'audit events are waiting'));
    }, waiting);
    await client.query('rollback');
    await client.end();
    await eventually(async () => (await refusals(email)) === 4, 10_000);
  });

  it('are written once, even if the first attempt succeeded and only its answer was lost', async () => {
    let attempts = 0;
    const lossy: Pick<SqlDatabase, 'read'> = {
      async read(work) {
        const result = await database.read(work);
        attempts += 1;
        if (attempts === 1) throw new Error('the answer is lost');
        return result;
      },
    };
    const queue = new AuditQueue(lossy, service.clock, createLog('silent'));
    for (let i = 0; i < 3; i += 1) {
      queue.add(caller, { type: 'sign_in.failed', outcome: 'failure', reason: `lossy ${i}` });
    }
    await queue.flush();
    queue.add(caller, { type: 'sign_in.failed', outcome: 'failure', reason: 'lossy 3' });
    await queue.flush();
    assert.equal(attempts, 2);
    const rows = await sql<{ reason: string }>(
      service.databaseUrl,
      `select reason from audit_events where reason like 'lossy %' order by reason`,
    );
    assert.deepEqual(
      rows.map(({ reason }) => reason),
      ['lossy 0', 'lossy 1', 'lossy 2', 'lossy 3'],
    );
  });

  it('go to the log, the oldest first, if more than 10,000 wait', async () => {
    const lines: { level: string; reason?: string }[] = [];
    const log = createLog('error', { write: (line) => lines.push(JSON.parse(line)) });
    const away = { read: () => Promise.reject(new Error('away')) };
    const queue = new AuditQueue(away, service.clock, log);
    for (let i = 0; i < 10_003; i += 1) {
      queue.add(caller, { type: 'sign_in.failed', outcome: 'failure', reason: `${i}` });
    }
    assert.deepEqual(
      lines.map(({ reason }) => reason),
      ['0', '1', '2'],
    );
    await queue.flush();
  });
});
