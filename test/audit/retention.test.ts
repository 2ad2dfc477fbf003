import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AuditQueue } from '../../src/audit/audit-queue.ts';
import { maintainAuditTrail } from '../../src/audit/maintain-audit-trail.ts';
import { readConfig } from '../../src/config.ts';
import { operator } from '../../src/platform/caller.ts';
import { Keyring } from '../../src/platform/crypto.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { withRoles } from '../administrators.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, newEmail, PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { auditor, caughtUp, chained, seed, verified } from './trail.ts';

const DAY_MS = 24 * 3600_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
const signal = new AbortController().signal;

/** Does now what the service does from time to time. */
async function maintain(service: Service, retentionDays: number | 'off' = 400) {
  const env = {
    ...service.env,
    COUNTERSIGN_AUDIT_RETENTION: retentionDays === 'off' ? 'off' : `${retentionDays}d`,
  };
  const config = readConfig(env, () => '');
  const database: SqlDatabase = await openDatabase(config, createLog('silent'));
  const keyring = new Keyring(config.masterKeys ?? new Map());
  const { clock } = service;
  try {
    await maintainAuditTrail({ ...config, database, keyring, clock }, signal);
  } finally {
    await database.close();
  }
}

const countOf = async (service: Service, where = 'true') =>
  (await sql(service.databaseUrl, `select 1 from audit_events where ${where}`)).length;

describe('The retention of audit events', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  it('E01 deletes older events, says so in an event, and leaves the rest provable', async () => {
    await seed(service, 1300, { occurredAt: daysAgo(500) });
    await chained(service);
    await seed(service, 200, { occurredAt: daysAgo(300) });
    await chained(service);
    const audit = await auditor(service);
    const early = await caughtUp(audit);
    const { head } = await verified(audit);
    await maintain(service, 'off');
    assert.equal((await verified(audit)).oldestPosition, 1n);
    await maintain(service);
    await chained(service);
    const result = await verified(audit);
    assert.deepEqual([result.intact, result.oldestPosition], [true, 1301n]);
    assert.equal(await countOf(service, `type = 'test.seeded'`), 200);
    const { events } = await audit.listAuditEvents({
      filters: { types: ['audit.events_deleted'] },
    });
    const told = events.map(({ details }) => [details?.['first_position'], details?.['count']]);
    assert.deepEqual(told.reverse(), [
      [1, 500],
      [501, 500],
      [1001, 300],
    ]);
    assert.equal(events[0]?.actor, undefined);
    // Nothing is deleted twice, and a known head is still known.
    await maintain(service);
    assert.equal((await verified(audit, { knownHead: head })).intact, true);
    assert.ok(early.events.length > 1500);
    assert.equal((await caughtUp(audit)).events[0]?.position, 1301n);
  });

  it('E01 makes readers from before it start again, and refuses an older head', async () => {
    const own = await startService();
    await seed(own, 300, { occurredAt: daysAgo(500) });
    await chained(own);
    const audit = await auditor(own);
    const { head } = await verified(audit);
    const [, hash] = head.split(':');
    const [first] = await sql<{ hash: string }>(
      own.databaseUrl,
      `select encode(hash, 'hex') as hash from audit_events where position = 100`,
    );
    await chained(own);
    const { cursor } = await caughtUp(audit);
    const bytes = Buffer.from(cursor, 'base64url');
    bytes.writeBigUInt64BE(100n, 1);
    bytes.write(first?.hash ?? '', 9, 8, 'hex');
    const at100 = bytes.toString('base64url');
    assert.equal((await caughtUp(audit, at100)).events[0]?.position, 101n);
    await maintain(own);
    const anew = await caughtUp(audit, at100);
    assert.equal(anew.cases[0], 'resync');
    assert.equal(anew.events[0]?.position, 301n);
    const refused = await refusal(verified(audit, { knownHead: `100:${first?.hash}` }));
    assert.deepEqual([refused.code, refused.reason], [Code.NotFound, 'NOT_FOUND']);
    assert.ok(hash);
  });

  it('E01 finds events that were removed after it', async () => {
    const own = await startService();
    await seed(own, 300, { occurredAt: daysAgo(500) });
    await chained(own);
    await seed(own, 100);
    const audit = await auditor(own);
    await chained(own);
    await maintain(own);
    await sql(own.databaseUrl, 'delete from audit_events where position <= 310');
    const result = await verified(audit);
    assert.deepEqual([result.intact, result.firstWrongPosition], [false, 301n]);
  });

  it('E01 keeps changed events, which are evidence', async () => {
    const own = await startService();
    await seed(own, 10, { occurredAt: daysAgo(500) });
    await chained(own);
    await sql(own.databaseUrl, `update audit_events set reason = 'x' where position = 5`);
    await assert.rejects(maintain(own), /broken at position 5/);
    assert.equal(await countOf(own, 'position <= 10'), 10);
  });

  it('E01 continues while someone verifies', async () => {
    const own = await startService();
    await seed(own, 4000, { occurredAt: daysAgo(500) });
    await seed(own, 2000);
    const audit = await auditor(own);
    await chained(own);
    const verifying = verified(audit);
    await maintain(own);
    assert.equal((await verifying).intact, true);
    const after = await verified(audit);
    assert.deepEqual([after.intact, after.oldestPosition], [true, 4001n]);
  });
});

describe('An erased person in the trail', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  /** Everything that the trail says about an account. */
  async function said(subject: string): Promise<string> {
    const [row] = await sql<{ said: string }>(
      service.databaseUrl,
      'select json_agg(e)::text as said from audit_events e where actor = $1 or subject = $1',
      [subject],
    );
    return row?.said ?? '';
  }

  it('C13 E01 leaves an id, and the chain intact', async () => {
    const { accessToken, email } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    const { user } = await account.getMe({});
    const subject = user?.userId ?? '';
    await account.updateMe({ user: { displayName: 'Augusta Ada' } });
    await account.changeEmail({ newEmail: `new-${email}` });
    await refusal(signIn(service, email, `${PASSWORD}!`));
    await eventually(async () => (await said(subject)).includes('sign_in.failed'));
    await chained(service);
    // One that is not in the chain yet when the account goes.
    await account.updateMe({ user: { displayName: 'Countess of Lovelace' } });
    const before_ = await said(subject);
    for (const personal of ['Augusta Ada', `new-${email}`, '127.0.0.1']) {
      assert.ok(before_.includes(personal), personal);
    }
    await account.deleteMe({});
    const personal = ['Augusta', 'Lovelace', 'Pat', email, '127.0.0.1'];
    for (const each of personal) assert.ok(!(await said(subject)).includes(each), each);
    await chained(service);
    for (const each of personal) assert.ok(!(await said(subject)).includes(each), each);
    const audit = await auditor(service);
    assert.equal((await verified(audit)).intact, true);
    const { events } = await audit.listAuditEvents({ filters: { subject } });
    const types = events.map(({ type }) => type);
    assert.ok(types.includes('account.updated') && types.includes('account.deleted'));
    const updated = events.filter(({ type }) => type === 'account.updated').at(-1);
    assert.deepEqual([updated?.ipAddress, updated?.personal], ['', undefined]);
    assert.equal(updated?.personalHash.length, 32);
    assert.equal(updated?.personalSalt.length, 0);
  });

  it('C13 E01 leaves an id, and the chain intact, if an administrator deletes them', async () => {
    const boss = await withRoles(service, 'user', 'admin');
    const email = newEmail();
    const moved = `moved-${email}`;
    const { user } = await boss.admin.createUser({ email, displayName: 'Hedwig Kiesler' });
    const userId = user?.userId ?? '';
    const reset = async (to: string) =>
      service.auth.resetPassword({
        token: tokenIn(await service.mail.next(to, /account is ready/)) ?? '',
        newPassword: PASSWORD,
      });
    await reset(email);
    const update = (values: { displayName?: string; email?: string }) =>
      boss.admin.updateUser({ user: { userId, ...values } });
    await update({ displayName: 'Hedy Lamarr', email: moved });
    const token = tokenIn(await service.mail.next(moved, /Confirm/)) ?? '';
    await service.auth.verifyEmail({ token });
    const owner = await signIn(service, moved);
    const { id: apiKeyId } = await newKey(service, owner, { displayName: 'The key of Hedy' });
    const allowedCidrs = ['192.0.2.77'];
    const apiKey = { apiKeyId, displayName: 'Lamarr at home', allowedCidrs };
    await keysOf(service, owner).updateApiKey({ apiKey });
    await boss.admin.grantRole({ holder: { case: 'userId', value: userId }, role: 'auditor' });
    await boss.admin.suspendUser({ userId, reason: 'Lamarr asked us to' });
    await chained(service);
    // Not in the chain yet when the account goes.
    await boss.admin.reinstateUser({ userId });
    await update({ displayName: 'H. Lamarr' });
    const whole = async () => {
      const all = 'select json_agg(e)::text as said from audit_events e';
      return (await sql<{ said: string }>(service.databaseUrl, all))[0]?.said ?? '';
    };
    const personal = ['Hedwig', 'Hedy', 'Lamarr', email, moved, '192.0.2.77'];
    const before_ = await whole();
    for (const each of personal) assert.ok(before_.includes(each), each);
    await boss.admin.deleteUser({ userId });
    const gone = async () => {
      const said = await whole();
      for (const each of personal) assert.ok(!said.includes(each), each);
      assert.equal(await countOf(service, `actor = '${userId}' and ip_address is not null`), 0);
    };
    await gone();
    await chained(service);
    await gone();
    const audit = await auditor(service);
    assert.equal((await verified(audit)).intact, true);
    const { events } = await audit.listAuditEvents({ filters: { subject: userId } });
    const byBoss = events.filter(({ actor }) => actor?.subject === boss.userId);
    assert.equal(byBoss[0]?.type, 'account.deleted');
    assert.ok(byBoss.every(({ personal }) => personal === undefined));
    // The administrator's address is the administrator's own data.
    assert.ok(byBoss.every(({ ipAddress }) => ipAddress === '127.0.0.1'));
  });

  it('C13 keeps data that belongs to others', async () => {
    const audit = await auditor(service);
    const { accessToken } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    const subject = (await account.getMe({})).user?.userId ?? '';
    const other = '00000000-0000-7000-8000-00000000000f';
    const insert = (actor: string, of: string) =>
      sql(
        service.databaseUrl,
        `insert into audit_events (id, occurred_at, type, actor, subject, outcome, ip_address,
           request_id, details, personal)
         values (gen_random_uuid(), now(), 'test.by_another', $1, $2, 'success', '192.0.2.7', 'x', '{}', '{"x":1}')`,
        [actor, of],
      );
    await insert(other, subject);
    await insert(subject, other);
    await chained(service);
    await account.deleteMe({});
    const { events } = await audit.listAuditEvents({ filters: { types: ['test.by_another'] } });
    const kept = events.map((event) => [
      event.subject === subject,
      event.ipAddress,
      event.personal !== undefined,
    ]);
    assert.deepEqual(
      new Set(kept.map(String)),
      new Set(
        [
          [true, '192.0.2.7', false],
          [false, '', true],
        ].map(String),
      ),
    );
    await chained(service);
    assert.equal((await verified(audit)).intact, true);
  });

  it('C13 is erased from events queued before they went and written afterwards', async () => {
    const config = readConfig(service.env, () => '');
    const database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
    const person = await signedIn(service);
    const account = accountOf(service, person);
    const subject = (await account.getMe({})).user?.userId ?? '';
    const queue = new AuditQueue(database, service.clock, createLog('silent'));
    const caller = { ...operator(), ipAddress: '192.0.2.7' };
    for (const entry of [{ subject }, { actor: subject }]) {
      queue.add(caller, { type: 'sign_in.failed', outcome: 'failure', ...entry });
    }
    await account.deleteMe({});
    await queue.flush();
    assert.match(await said(subject), /sign_in.failed/);
    assert.doesNotMatch(await said(subject), /192\.0\.2\.7|127\.0\.0\.1/);
    // By a transaction that had begun before they went.
    await sql(
      service.databaseUrl,
      `insert into audit_events (id, occurred_at, type, subject, outcome, ip_address, request_id, details)
       values (gen_random_uuid(), now(), 'test.late', $1, 'success', '192.0.2.7', 'x', '{}')`,
      [subject],
    );
    await maintain(service);
    assert.match(await said(subject), /test\.late/);
    assert.doesNotMatch(await said(subject), /192\.0\.2\.7/);
    assert.deepEqual(await sql(service.databaseUrl, 'select * from audit_erasures'), []);
  });

  it('C13 is erased if they signed up with an address that turned out to be another’s', async () => {
    const boss = await withRoles(service, 'user', 'admin');
    const signUp = async () => {
      const email = newEmail();
      await service.auth.signUp({ email, password: PASSWORD, displayName: 'A stranger' });
      await service.mail.next(email, /./);
      const [row] = await sql<{ id: string }>(
        service.databaseUrl,
        'select id from accounts where email = $1',
        [email],
      );
      const subject = row?.id ?? '';
      assert.match(await said(subject), /127\.0\.0\.1/);
      return { email, subject };
    };
    const [invited, imported, moved] = [await signUp(), await signUp(), await signUp()];
    await boss.admin.createUser({ email: invited.email });
    const user = { email: imported.email, emailVerified: true };
    const rows = [{ message: { case: 'user' as const, value: user } }];
    await Array.fromAsync(boss.admin.importUsers(Readable.from(rows)));
    const owner = await signedIn(service);
    await accountOf(service, owner).changeEmail({ newEmail: moved.email });
    const token = tokenIn(await service.mail.next(moved.email, /Confirm your new/)) ?? '';
    await accountOf(service, owner).confirmEmailChange({ token });
    for (const { subject } of [invited, imported, moved]) {
      const of = `subject = '${subject}' and type`;
      assert.equal(await countOf(service, `${of} = 'account.created' and ip_address is null`), 1);
      assert.equal(await countOf(service, `${of} = 'account.deleted'`), 1);
    }
    await chained(service);
    assert.equal((await verified(await auditor(service))).intact, true);
  });

  it('C13 E01 is erased from every one of thousands of events, some of them afterwards', async () => {
    const { accessToken } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    const subject = (await account.getMe({})).user?.userId ?? '';
    await seed(service, 3500, { subject });
    await chained(service);
    await account.deleteMe({});
    const left = `subject = '${subject}' and ip_address is not null`;
    assert.ok((await countOf(service, left)) > 0);
    await maintain(service);
    assert.equal(await countOf(service, left), 0);
    assert.deepEqual(await sql(service.databaseUrl, 'select * from audit_erasures'), []);
    await chained(service);
    assert.equal((await verified(await auditor(service))).intact, true);
  });
});
