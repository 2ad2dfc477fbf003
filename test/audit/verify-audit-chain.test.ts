import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Code } from '@connectrpc/connect';
import pg from 'pg';
import {
  AuditChainFlaw,
  type AuditEvent,
  AuditOutcome,
  AuditService,
} from '../../gen/countersign/v1/audit_service_pb.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { accountOf, PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { auditor, caughtUp, chained, seed, verified } from './trail.ts';

const EVENTS = 700;

let service: Service;
let audit: Client<typeof AuditService>;

before(async () => {
  service = await startService();
  await seed(service, EVENTS);
  audit = await auditor(service);
  await chained(service);
});

/** Does something to the database, verifies, and puts everything back as it was. */
async function tampered(...statements: string[]) {
  await chained(service);
  const client = new pg.Client({ connectionString: service.databaseUrl });
  await client.connect();
  await client.query('create table kept_events as select * from audit_events');
  await client.query('create table kept_chain as select * from audit_chain');
  try {
    for (const statement of statements) await client.query(statement);
    return await verified(audit);
  } finally {
    await client.query(`
      begin;
      delete from audit_events; insert into audit_events select * from kept_events;
      delete from audit_chain; insert into audit_chain select * from kept_chain;
      commit; drop table kept_events; drop table kept_chain`);
    await client.end();
  }
}

/** The canonical form of an event, by docs/audit.md and not by the service's code. */
function canonical(event: AuditEvent, previousHash: string): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex') || undefined;
  const { seconds = 0n, nanos = 0 } = event.occurredAt ?? {};
  const time = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return JSON.stringify({
    actor: event.actor?.subject,
    actor_type: [undefined, 'user', 'service_account'][event.actor?.type ?? 0],
    api_key_id: event.actor?.apiKeyId || undefined,
    details: sorted(event.details),
    event_id: event.eventId,
    ip_address_hash: hex(event.ipAddressHash),
    occurred_at: `${time}.${String(nanos / 1000).padStart(6, '0')}Z`,
    outcome: event.outcome === AuditOutcome.SUCCESS ? 'success' : 'failure',
    personal_hash: hex(event.personalHash),
    position: Number(event.position),
    previous_hash: previousHash,
    reason: event.reason || undefined,
    request_id: event.requestId,
    subject: event.subject || undefined,
    type: event.type,
  });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}

describe('VerifyAuditChain', () => {
  it('E01 finds an intact trail intact, including events from before the chain', async () => {
    const position = await chained(service);
    const result = await verified(audit);
    assert.equal(result.intact, true);
    assert.equal(result.flaw, AuditChainFlaw.UNSPECIFIED);
    assert.equal(result.firstWrongPosition, 0n);
    assert.equal(result.oldestPosition, 1n);
    assert.ok(Number(result.checkedCount) >= position && position > EVENTS);
    assert.match(result.head, /^\d+:[0-9a-f]{64}$/);
  });

  it('E01 can be done by an outsider with the exported events', async () => {
    const { events } = await caughtUp(audit);
    let previous = '0'.repeat(64);
    for (const event of events) {
      const hash = createHash('sha256').update(canonical(event, previous)).digest('hex');
      assert.equal(hash, Buffer.from(event.hash).toString('hex'), String(event.position));
      if (event.ipAddress !== '') {
        const digest = createHash('sha256').update(event.ipAddressSalt).update(event.ipAddress);
        assert.deepEqual(new Uint8Array(digest.digest()), event.ipAddressHash);
      }
      previous = hash;
    }
    assert.ok(events.length > EVENTS);
  });

  const CHANGES = {
    'its type': `type = 'session.created'`,
    'its time, by a microsecond': `occurred_at = occurred_at + interval '1 microsecond'`,
    'its actor': `actor = '00000000-0000-7000-8000-000000000000'`,
    'what kind of actor it was': `actor_type = 'service_account'`,
    'the key of its actor': `api_key_id = '00000000-0000-7000-8000-000000000000'`,
    'its subject': `subject = '00000000-0000-7000-8000-000000000000'`,
    'its outcome': `outcome = 'failure'`,
    'its reason': `reason = 'none'`,
    'its address': `ip_address = '198.51.100.1'`,
    'its call': `request_id = 'another'`,
    'a detail': `details = details || '{"n": -1}'`,
    'what is personal': `personal = '{}'`,
    'its id': `id = gen_random_uuid()`,
    'its hash': `hash = sha256('')`,
    'its seal': `seal = overlay(seal placing '\\x0000' from 3)`,
    'that it has a seal': `seal = null`,
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    it(`E01 finds a changed event: ${what}`, async () => {
      const result = await tampered(`update audit_events set ${change} where position = 400`);
      assert.equal(result.intact, false);
      assert.equal(result.flaw, AuditChainFlaw.EVENT_CHANGED);
      assert.equal(result.firstWrongPosition, 400n);
      assert.equal(result.checkedCount, 399n);
    });
  }

  const removals = [
    ['in the middle', 'position = 400', 400n],
    ['at the beginning', 'position <= 3', 1n],
    ['many', 'position between 251 and 600', 251n],
  ] as const;
  for (const [where, condition, position] of removals) {
    it(`E01 finds removed events: ${where}`, async () => {
      const result = await tampered(`delete from audit_events where ${condition}`);
      assert.equal(result.flaw, AuditChainFlaw.EVENT_MISSING);
      assert.equal(result.firstWrongPosition, position);
    });
  }

  it('E01 finds that the newest events were removed', async () => {
    const last = await chained(service);
    const result = await tampered(`delete from audit_events where position > ${last} - 2`);
    assert.equal(result.flaw, AuditChainFlaw.EVENT_MISSING);
    assert.equal(result.firstWrongPosition, BigInt(last - 1));
  });

  const strip = (value: string, salt: string) => `
    update audit_events
    set ${value} = null, ${salt} = null,
      ${value.replace('_address', '')}_hash = sha256(${salt} || convert_to(${value}, 'UTF8'))
    where position = (select min(position) from audit_events where ${value} is not null)`;
  for (const [value, salt] of [
    ['ip_address', 'ip_salt'],
    ['personal', 'personal_salt'],
  ] as const) {
    it(`E01 finds an event whose ${value} was taken away as if its account had been deleted`, async () => {
      await accountOf(service, await signedIn(service)).updateMe({ user: { displayName: 'Ada' } });
      await chained(service);
      const [row] = await sql<{ first: string }>(
        service.databaseUrl,
        `select min(position)::text as first from audit_events where ${value} is not null`,
      );
      const result = await tampered(strip(value, salt));
      assert.equal(result.flaw, AuditChainFlaw.EVENT_CHANGED);
      assert.equal(result.firstWrongPosition, BigInt(row?.first ?? 0));
    });
  }

  it('E01 finds two events that changed places', async () => {
    const result = await tampered(
      'update audit_events set position = -position where position in (300, 500)',
      'update audit_events set position = case position when -300 then 500 else 300 end where position < 0',
    );
    assert.equal(result.flaw, AuditChainFlaw.EVENT_CHANGED);
    assert.equal(result.firstWrongPosition, 300n);
  });

  it('E01 finds an event that was inserted in between, and one that was added at the end', async () => {
    const insert = (position: string, from: number) => `
      insert into audit_events (id, occurred_at, type, outcome, request_id, details, position, hash, seal)
      select gen_random_uuid(), occurred_at, type, outcome, request_id, details, ${position}, hash, seal
      from audit_events where position = ${from}`;
    const between = await tampered(
      'update audit_events set position = -position where position >= 400',
      'update audit_events set position = 1 - position where position < 0',
      insert('400', 399),
    );
    assert.equal(between.flaw, AuditChainFlaw.EVENT_CHANGED);
    assert.equal(between.firstWrongPosition, 400n);
    const last = await chained(service);
    const atEnd = await tampered(insert(`${last + 1}`, last));
    assert.equal(atEnd.flaw, AuditChainFlaw.EVENT_INSERTED);
    assert.equal(atEnd.firstWrongPosition, BigInt(last + 1));
    const beside = await tampered('drop index audit_events_position', insert('250', 249));
    await sql(
      service.databaseUrl,
      'create unique index audit_events_position on audit_events (position) where position is not null',
    );
    assert.equal(beside.intact, false);
    assert.ok([250n, 251n].includes(beside.firstWrongPosition));
  });

  it('E01 finds a chain that was recomputed without the key, and where it begins', async () => {
    const position = await chained(service);
    const result = await tampered(
      `update audit_events set reason = 'forged', hash = sha256('forged') where position = ${position}`,
      `update audit_chain set hash = sha256('forged')`,
    );
    assert.equal(result.flaw, AuditChainFlaw.HEAD_FORGED);
    const { events } = await caughtUp(audit);
    const victim = events.find((event) => event.position === 600n);
    const before_ = events.find((event) => event.position === 599n);
    assert.ok(victim && before_);
    const forged = canonical(
      { ...victim, reason: 'forged' },
      Buffer.from(before_.hash).toString('hex'),
    );
    const hash = createHash('sha256').update(forged).digest('hex');
    const rewritten = await tampered(
      `update audit_events set reason = 'forged', hash = '\\x${hash}' where position = 600`,
    );
    assert.equal(rewritten.flaw, AuditChainFlaw.EVENT_CHANGED);
    assert.equal(rewritten.firstWrongPosition, 600n);
  });

  it('E01 finds that the ends are gone, or were moved past deleted events', async () => {
    const gone = await tampered('delete from audit_chain');
    assert.equal(gone.flaw, AuditChainFlaw.HEAD_FORGED);
    const forward = await tampered(
      'update audit_chain set anchor_position = 100, anchor_hash = (select hash from audit_events where position = 100)',
      'delete from audit_events where position <= 100',
    );
    assert.equal(forward.flaw, AuditChainFlaw.HEAD_FORGED);
  });

  it('E01 finds that the whole trail was restored to an earlier state, given a later head', async () => {
    const { databaseUrl } = service;
    const [earlier] = await sql<{ row: string }>(
      databaseUrl,
      'select to_json(c)::text as row from audit_chain c',
    );
    await signedIn(service);
    await chained(service);
    const { head } = await verified(audit);
    const known = await verified(audit, { knownHead: head });
    assert.equal(known.intact, true);
    const since = await verified(audit, { knownHead: head, onlyAfterKnownHead: true });
    assert.deepEqual([since.intact, since.checkedCount], [true, 0n]);
    const { position } = JSON.parse(earlier?.row ?? '{}');
    await sql(databaseUrl, `delete from audit_events where position > ${position}`);
    await sql(
      databaseUrl,
      `update audit_chain c set position = e.position, hash = e.hash, mac = e.mac
       from json_populate_record(null::audit_chain, $1) e`,
      [earlier?.row],
    );
    assert.equal((await verified(audit)).intact, true);
    const lost = await verified(audit, { knownHead: head });
    assert.equal(lost.flaw, AuditChainFlaw.KNOWN_HEAD_MISSING);
    // It grows again, beyond where it was.
    await signedIn(service);
    await signedIn(service);
    await chained(service);
    const other = await verified(audit, { knownHead: head });
    assert.equal(other.flaw, AuditChainFlaw.KNOWN_HEAD_MISSING);
    assert.equal((await verified(audit)).intact, true);
  });

  it('requires the permission to read the trail, and refuses a malformed head', async () => {
    const { accessToken } = await signedIn(service);
    const nobody = service.client(AuditService, 'grpc', accessToken);
    const denied = await refusal(Array.fromAsync(nobody.verifyAuditChain({})));
    assert.deepEqual([denied.code, denied.reason], [Code.PermissionDenied, 'PERMISSION_DENIED']);
    const invalid = await refusal(Array.fromAsync(audit.verifyAuditChain({ knownHead: '7:x' })));
    assert.deepEqual(invalid.fields, ['known_head']);
  });
});

describe('countersign audit verify', () => {
  it('E01 checks the trail of the embedded database too', async () => {
    const env = {
      COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
    };
    const own = await startService({ env: { ...env, DATABASE_URL: '', SMTP_URL: '' } });
    const email = 'embedded@example.com';
    await own.auth.signUp({ email, password: PASSWORD });
    const account = accountOf(own, await signIn(own, email));
    await account.updateMe({ user: { displayName: 'Ada' } });
    // It looks twice a second.
    await sleep(1500);
    await account.deleteMe({});
    await sleep(1500);
    await own.app.stop();
    const key = { COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const { code, text } = await runCommand(['audit', 'verify'], { ...env, ...key });
    assert.equal(code, 0, text);
    assert.match(text, /intact: 5 events/);
  });

  it('E01 exits with 0 for an intact trail, and with 65 for a broken one, and says where', async () => {
    const own = await startService({ databaseUrl: await createDatabase() });
    await seed(own, 600);
    await signedIn(own);
    await chained(own);
    await own.app.stop();
    const env = { DATABASE_URL: own.databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const intact = await runCommand(['audit', 'verify'], env);
    assert.equal(intact.code, 0, intact.text);
    assert.match(
      intact.text,
      /intact: \d+ events, the oldest at position 1\nhead: \d+:[0-9a-f]{64}/,
    );
    const head = /head: (\S+)/.exec(intact.text)?.[1];
    assert.equal((await runCommand(['audit', 'verify', `--known=${head}`], env)).code, 0);
    assert.equal((await runCommand(['audit', 'verify', '--known=x'], env)).code, 64);
    await sql(own.databaseUrl, `update audit_events set reason = 'x' where position = 300`);
    const broken = await runCommand(['audit', 'verify', '--json'], env);
    assert.equal(broken.code, 65, broken.text);
    const result = JSON.parse(/^\{.*\}$/m.exec(broken.text)?.[0] ?? '{}');
    assert.deepEqual(
      [result.intact, result.flaw, result.first_wrong_position],
      [false, 'event_changed', 300],
    );
    const elsewhere = { ...env, COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 8).toString('base64') };
    const other = await runCommand(['audit', 'verify', '--json'], elsewhere);
    assert.match(other.text, /head_forged/);
  });
});
