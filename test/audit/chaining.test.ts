import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AuditService } from '../../gen/countersign/v1/audit_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { type Environment, spawnService } from '../child.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { heldMemory } from '../harness/memory.ts';
import { PASSWORD, person, signedIn, signIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { CRASHES, EVENTS } from '../harness/scale.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { auditor, chained, seed, verified } from './trail.ts';

/** Events by position, which must be 1, 2, 3 … without a gap. */
async function positions({ databaseUrl }: Pick<Service, 'databaseUrl'>) {
  const [row] = await sql<{ count: string; first: string; last: string }>(
    databaseUrl,
    `select count(*), min(position) as first, max(position) as last from audit_events
     where position is not null`,
  );
  return [Number(row?.count), Number(row?.first), Number(row?.last)];
}

describe('The chain of audit events', () => {
  it('E01 has no gap and no fork if several replicas add events to it at once', async () => {
    const service = await startService();
    const replicas = [service, ...(await Promise.all([1, 2].map(() => startReplica(service))))];
    const audit = await auditor(service);
    const busy = Promise.all(
      replicas.map(async (replica) => {
        for (let n = 0; n < 8; n += 1) await signedIn(replica);
      }),
    );
    for (let n = 0; n < 5; n += 1) await seed(service, 500);
    await busy;
    const last = await chained(service);
    assert.ok(last > 2500 + 3 * 8);
    assert.deepEqual(await positions(service), [last, 1, last]);
    assert.equal((await verified(audit)).intact, true);
  });

  it('E01 has events that commit late, after those that came meanwhile', async () => {
    const service = await startService();
    const audit = await auditor(service);
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    await client.query('begin');
    const id = randomUUID();
    await client.query(
      `insert into audit_events (id, occurred_at, type, outcome, request_id, details)
       values ($1, now(), 'test.late', 'success', 'late', '{}')`,
      [id],
    );
    await signedIn(service);
    const before = await chained(service);
    await client.query('commit');
    await client.end();
    const after = await chained(service);
    const [late] = await sql<{ position: string }>(
      service.databaseUrl,
      'select position::text from audit_events where id = $1',
      [id],
    );
    assert.ok(Number(late?.position) > before && Number(late?.position) <= after);
    assert.equal((await verified(audit)).intact, true);
  });

  it('E01 W05 loses nothing when the process that extends it is killed', async () => {
    const databaseUrl = await createDatabase();
    const env: Environment = {
      DATABASE_URL: databaseUrl,
      COUNTERSIGN_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_ARGON2_MEMORY_KIB: '7168',
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
      COUNTERSIGN_RATE_LIMITS: 'off',
      COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10s',
      COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '10s',
      COUNTERSIGN_LOG_LEVEL: 'warn',
    };
    let seeded = 0;
    const emails: string[] = [];
    for (let crash = 0; crash < CRASHES; crash += 1) {
      const child = await spawnService(env);
      const auth = clients(child).client(AuthService);
      const email = `killed-${crash}@example.com`;
      await auth.signUp({ email, password: PASSWORD });
      await auth.login({ email, password: PASSWORD });
      emails.push(email);
      await seed({ databaseUrl } as Service, 3000);
      seeded += 3000;
      // It takes half a second until the first are put in the chain, and then a while.
      await sleep(500 + 60 * crash);
      assert.equal(await child.end('SIGKILL'), 'SIGKILL');
      const [count, , last] = await positions({ databaseUrl });
      assert.equal(count, last);
    }
    const service = await startService({ databaseUrl });
    const audit = await auditor(service);
    const last = await chained(service, 600_000);
    const [all] = await sql<{ count: string; seeded: string }>(
      databaseUrl,
      `select count(*), count(*) filter (where type = 'test.seeded') as seeded from audit_events`,
    );
    assert.deepEqual([Number(all?.count), Number(all?.seeded)], [last, seeded]);
    const result = await verified(audit);
    assert.deepEqual([result.intact, Number(result.checkedCount) >= last], [true, true]);
    for (const email of emails) {
      const events = await sql<{ type: string }>(
        databaseUrl,
        `select type from audit_events e join accounts a on a.id = e.subject
         where a.email = $1 order by position`,
        [email],
      );
      assert.deepEqual(
        events.map(({ type }) => type),
        ['account.created', 'session.created'],
      );
    }
  });

  it('E01 is not built on an end that is not ours: the log says so, and events wait', async () => {
    const service = await startService();
    const email = (await signedIn(service)).email;
    await chained(service);
    const lines: Record<string, unknown>[] = [];
    await logLines(async () => {
      await sql(service.databaseUrl, `update audit_chain set hash = sha256('forged')`);
      await signIn(service, email);
      const said = () => lines.some(({ msg }) => msg === 'audit chain is broken');
      await eventually(said);
      await sleep(1500);
    }, lines);
    const said = lines.filter(({ msg }) => msg === 'audit chain is broken');
    assert.deepEqual(
      said.map(({ level, component }) => [level, component]),
      [['error', 'audit']],
    );
    const waiting = 'select 1 from audit_events where position is null';
    assert.ok((await sql(service.databaseUrl, waiting)).length > 0);
  });

  it('E01 stays provable when the master key is replaced', async () => {
    const first = await startService();
    await signedIn(first);
    await chained(first);
    await first.app.stop();
    const [, secret = ''] = /^(?:1:)?(.+)$/.exec(MASTER_KEY) ?? [];
    const next = Buffer.alloc(32, 9).toString('base64');
    const both = { COUNTERSIGN_MASTER_KEY: `2:${next},1:${secret}` };
    const rotated = await startReplica(first, { env: both });
    await signedIn(rotated);
    await chained(rotated);
    assert.equal((await verified(await auditor(rotated))).intact, true);
    await chained(rotated);
    await rotated.app.stop();
    const [row] = await sql<{ key_version: number }>(
      first.databaseUrl,
      'select key_version from audit_chain',
    );
    assert.equal(row?.key_version, 2);
  });

  describe('that is long', () => {
    let service: Service;

    before(async () => {
      service = await startService();
      const batch = Math.min(EVENTS, 50_000);
      for (let n = 0; n < EVENTS; n += batch) await seed(service, batch);
      await chained(service, 600_000);
    });

    it('E01 is verified in bounded memory', async () => {
      const audit = await auditor(service);
      const grown: number[] = [];
      const before = heldMemory();
      let checked = 0n;
      for await (const { event } of audit.verifyAuditChain({})) {
        grown.push(heldMemory() - before);
        if (event.case === 'result') {
          assert.equal(event.value.intact, true);
          checked = event.value.checkedCount;
        }
      }
      assert.ok(checked >= BigInt(EVENTS));
      assert.ok(grown.length >= 2);
      // All of them at once would take a kilobyte each.
      assert.ok(Math.max(...grown) < 15e6, `${grown}`);
    });

    it('is verified twice at once by a replica, and no more', async () => {
      const { accessToken } = await person(service, 'user', 'admin');
      const results = await Promise.allSettled(
        [1, 2, 3].map(() => verified(service.client(AuditService, 'grpc', accessToken))),
      );
      const refused = results.filter(({ status }) => status === 'rejected');
      assert.equal(refused.length, 1);
      assert.match(String(refused[0]?.status === 'rejected' && refused[0].reason), /verifying/);
    });
  });
});
