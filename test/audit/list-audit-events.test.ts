import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Client, Code } from '@connectrpc/connect';
import {
  type AuditFiltersSchema,
  AuditOutcome,
  AuditService,
} from '../../gen/countersign/v1/audit_service_pb.ts';
import { PrincipalType } from '../../gen/countersign/v1/principal_pb.ts';
import { adminClient, withRoles } from '../administrators.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { auditor, chained, seed } from './trail.ts';

type Filters = MessageInitShape<typeof AuditFiltersSchema>;

describe('ListAuditEvents', () => {
  let service: Service;
  let audit: Client<typeof AuditService>;

  before(async () => {
    service = await startService();
    audit = await auditor(service);
  });

  const idOf = async (email: string) => {
    const query = 'select id from accounts where email = $1';
    return (await sql<{ id: string }>(service.databaseUrl, query, [email]))[0]?.id ?? '';
  };

  /** All pages of a query. */
  async function all(filters: Filters, pageSize = 100) {
    const events = [];
    for (let pageToken = ''; ; ) {
      const page = await audit.listAuditEvents({ filters, pageSize, pageToken });
      events.push(...page.events);
      pageToken = page.nextPageToken;
      if (pageToken === '') return events;
    }
  }

  for (const protocol of PROTOCOLS) {
    it(`E01 tells by ${protocol} who did what to whom, from where, by which call, and how it ended`, async () => {
      const { email, sessionId } = await signedIn(service);
      const subject = await idOf(email);
      const lister = await auditor(service, protocol);
      const { events } = await lister.listAuditEvents({
        filters: { subject, types: ['session.created'] },
      });
      const [event] = events;
      assert.equal(events.length, 1);
      assert.ok(event);
      assert.equal(event.type, 'session.created');
      assert.deepEqual([event.actor?.subject, event.subject], [subject, subject]);
      assert.equal(event.actor?.type, PrincipalType.USER);
      assert.deepEqual([event.outcome, event.reason], [AuditOutcome.SUCCESS, '']);
      assert.equal(event.ipAddress, '127.0.0.1');
      assert.match(event.requestId, /^[0-9a-f-]{36}$/);
      assert.deepEqual(event.details, { amr: ['pwd'], session_id: sessionId });
      const age = service.clock.now().getTime() / 1000 - Number(event.occurredAt?.seconds);
      assert.ok(age >= -1 && age < 60, `${age}`);
    });
  }

  it('E01 shows an event from the moment its change is acknowledged, and its place soon after', async () => {
    const { email } = await signedIn(service);
    const filters = { subject: await idOf(email) };
    const at = await audit.listAuditEvents({ filters });
    assert.ok(at.events.length >= 1);
    await chained(service);
    for (const event of (await audit.listAuditEvents({ filters })).events) {
      assert.ok(event.position > 0n);
      assert.equal(event.hash.length, 32);
      assert.equal(event.ipAddressHash.length, 32);
    }
  });

  it('E01 shows what a service account did with its key, and with a token of that key', async () => {
    const admin = await withRoles(service, 'user', 'admin');
    const { serviceAccount } = await admin.admin.createServiceAccount({ displayName: 'Robot' });
    const { serviceAccountId = '' } = serviceAccount ?? {};
    const holder = { case: 'serviceAccountId', value: serviceAccountId } as const;
    await admin.admin.grantRole({ holder, role: 'support' });
    const key = await newKey(service, admin, { serviceAccountId, scopes: ['users.write'] });
    const exchange = { secret: key.secret, audience: 'https://issuer.test' };
    const token = await keysOf(service, admin).exchangeApiKey(exchange);
    for (const credential of [key.secret, token.accessToken]) {
      const { email } = await signedIn(service);
      const subject = await idOf(email);
      await adminClient(service, { accessToken: credential }).suspendUser({ userId: subject });
      const { events } = await audit.listAuditEvents({
        filters: { subject, actor: serviceAccountId },
      });
      assert.deepEqual(events.map(({ type }) => type).sort(), [
        'account.suspended',
        'sessions.ended',
      ]);
      for (const { actor } of events) {
        assert.deepEqual(
          [actor?.subject, actor?.type, actor?.apiKeyId],
          [serviceAccountId, PrincipalType.SERVICE_ACCOUNT, key.id],
        );
      }
    }
    const { events } = await audit.listAuditEvents({ filters: { subject: serviceAccountId } });
    const by = events.map(({ type, actor }) => [type, actor?.type, actor?.apiKeyId]);
    const user = [PrincipalType.USER, ''] as const;
    assert.deepEqual(by, [
      ['api_key.created', ...user],
      ['role.granted', ...user],
      ['service_account.created', ...user],
    ]);
  });

  it('E01 shows what a user did with an API key', async () => {
    const admin = await withRoles(service, 'user', 'admin');
    const key = await newKey(service, admin, { scopes: ['users.write'] });
    const { email } = await signedIn(service);
    const userId = await idOf(email);
    await adminClient(service, { accessToken: key.secret }).suspendUser({ userId });
    await admin.admin.reinstateUser({ userId });
    const { events } = await audit.listAuditEvents({
      filters: { actor: admin.userId, subject: userId },
    });
    assert.deepEqual(
      new Map(events.map(({ type, actor }) => [type, [actor?.type, actor?.apiKeyId]])),
      new Map([
        ['account.suspended', [PrincipalType.USER, key.id]],
        ['sessions.ended', [PrincipalType.USER, key.id]],
        ['account.reinstated', [PrincipalType.USER, '']],
      ]),
    );
  });

  it('E01 shows refused sign-ins with their reason', async () => {
    const { email } = await signedIn(service);
    await refusal(signIn(service, email, `${PASSWORD}!`));
    const filters = { subject: await idOf(email), outcome: AuditOutcome.FAILURE };
    await eventually(async () => (await all(filters)).length === 1);
    const [event] = await all(filters);
    assert.deepEqual([event?.type, event?.reason], ['sign_in.failed', 'INVALID_CREDENTIALS']);
    assert.equal(event?.actor, undefined);
  });

  it('returns every event once, the newest first, in pages of any size', async () => {
    const subject = randomUUID();
    await seed(service, 250, { subject, occurredAt: service.clock.now() });
    const events = await all({ subject }, 40);
    assert.equal(events.length, 250);
    assert.deepEqual(
      events.map(({ details }) => details?.['n']),
      Array.from({ length: 250 }, () => 1).map((_, index) => 250 - index),
    );
    const ids = await all({ subject }, 1);
    assert.equal(new Set(ids.map(({ eventId }) => eventId)).size, 250);
  });

  it('finds by several types, and by time to the millisecond', async () => {
    const day = (n: number) => new Date(Date.UTC(2020, 0, n));
    for (const n of [1, 2, 3, 4]) {
      await seed(service, 3, { type: `test.day_${n}`, occurredAt: day(n) });
    }
    const types = ['test.day_1', 'test.day_3', 'test.day_4'];
    const found = await all({ types }, 2);
    assert.deepEqual(
      found.map(({ type }) => type),
      ['4', '4', '4', '3', '3', '3', '1', '1', '1'].map((n) => `test.day_${n}`),
    );
    const range = { startTime: timestampFromDate(day(2)), endTime: timestampFromDate(day(4)) };
    const within = await all(range);
    assert.deepEqual(
      new Set(within.map(({ type }) => type)),
      new Set(['test.day_2', 'test.day_3']),
    );
    assert.equal((await all({ ...range, types })).length, 3);
    const late = { startTime: timestampFromDate(new Date(day(2).getTime() + 1)) };
    assert.equal((await all({ ...range, ...late })).length, 3);
  });

  it('refuses a page token of another query, and invalid filters', async () => {
    const subject = randomUUID();
    await seed(service, 3, { subject });
    const { nextPageToken: pageToken } = await audit.listAuditEvents({
      filters: { subject },
      pageSize: 1,
    });
    for (const filters of [{}, { subject: randomUUID() }, { subject, types: ['a.b'] }]) {
      const refused = await refusal(audit.listAuditEvents({ filters, pageToken }));
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['page_token']]);
    }
    const bad: [Filters, string][] = [
      [{ subject: "' or true --" }, 'filters.subject'],
      [{ actor: 'x' }, 'filters.actor'],
      [{ types: ['%'] }, 'filters.types[0]'],
      [{ types: ['a.b', 'a.b'] }, 'filters.types'],
    ];
    for (const [filters, field] of bad) {
      assert.deepEqual((await refusal(audit.listAuditEvents({ filters }))).fields, [field]);
    }
  });

  it('requires the permission to read the trail', async () => {
    const { accessToken } = await signedIn(service);
    const nobody = service.client(AuditService, 'grpc', accessToken);
    assert.equal((await refusal(nobody.listAuditEvents({}))).reason, 'PERMISSION_DENIED');
    const none = await refusal(service.client(AuditService).listAuditEvents({}));
    assert.equal(none.reason, 'CREDENTIALS_MISSING');
  });

  it('finds by any filters without reading the trail from end to end', async () => {
    const subject = randomUUID();
    await seed(service, 20_000, { occurredAt: new Date(Date.UTC(2021, 0, 1)) });
    await seed(service, 20, { subject });
    await chained(service, 60_000);
    await sql(service.databaseUrl, 'analyze audit_events');
    const scans = async () => {
      // Backends hand their counts over within a second of being idle.
      await sleep(1500);
      const counts = `select seq_scan from pg_stat_user_tables where relname = 'audit_events'`;
      return (await sql(service.databaseUrl, counts))[0];
    };
    const before_ = await scans();
    const startTime = timestampFromDate(new Date(Date.UTC(2021, 0, 1)));
    const endTime = timestampFromDate(service.clock.now());
    const parts: Filters[] = [
      { actor: subject },
      { subject },
      { types: ['test.seeded'] },
      { types: ['test.seeded', 'test.none'] },
      { outcome: AuditOutcome.FAILURE },
      { startTime, endTime },
    ];
    for (let set = 0; set < 2 ** parts.length; set += 1) {
      const filters = Object.assign({}, ...parts.filter((_, index) => set & (1 << index)));
      await audit.listAuditEvents({ filters, pageSize: 20 });
    }
    assert.deepEqual(await scans(), before_);
  });
});
