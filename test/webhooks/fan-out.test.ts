import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { AuditTrail } from '../../src/audit/audit-trail.ts';
import { readConfig } from '../../src/config.ts';
import { Keyring } from '../../src/platform/crypto.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { FanOut } from '../../src/webhooks/fan-out.ts';
import { chained, seed } from '../audit/trail.ts';
import { type Environment, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  newEmail,
  PASSWORD,
  person,
  signedIn,
  signIn,
  userIdOf,
} from '../harness/people.ts';
import { CRASHES, FAN_OUTS } from '../harness/scale.ts';
import { type Service, startReplica } from '../harness/service.ts';
import {
  deliveriesOf,
  handedOn,
  newPaused,
  payloadOf,
  setState,
  startWebhookService,
  webhooksFor,
} from './webhooks.ts';

const HOUR_MS = 3600_000;

/** The ids of all events of a type, and those of the deliveries to a webhook. */
async function toldOf({ databaseUrl }: Service, type: string, webhookId: string) {
  const events = await sql<{ id: string }>(
    databaseUrl,
    'select id from audit_events where type = $1 order by id',
    [type],
  );
  const deliveries = await sql<{ id: string }>(
    databaseUrl,
    'select message_id as id from webhook_deliveries where webhook_id = $1 order by message_id',
    [webhookId],
  );
  return { events: events.map(({ id }) => id), deliveries: deliveries.map(({ id }) => id) };
}

/** A replica's fan-out, with connections of its own. */
async function fanOutOf(service: Service): Promise<{ start: () => void }> {
  const env = { ...service.env, COUNTERSIGN_DB_POOL_MAX: '2' };
  const config = readConfig(env, () => '');
  const log = createLog('silent');
  const database = await openDatabase(config, log);
  const keyring = new Keyring(config.masterKeys ?? new Map());
  const auditTrail = new AuditTrail({ database, keyring, log });
  const fanOut = new FanOut({ database, clock: service.clock, log, auditTrail });
  atEnd(async () => {
    await fanOut.stop();
    await auditTrail.stop();
    await database.close();
  });
  const start = () => {
    auditTrail.start();
    fanOut.start();
  };
  return { start };
}

describe('The fan-out', () => {
  let service: Service;

  before(async () => {
    service = await startWebhookService();
  });

  it('E02 hands an event to the webhooks that subscribe to its type, its group or all', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const lists = [['session.created'], ['session.*'], ['*'], ['account.*', 'sessions.ended']];
    const made = await Promise.all(lists.map((types) => newPaused(webhooks, types)));
    const someone = await signedIn(service);
    await handedOn(service);
    const [event] = await sql<{ id: string; occurred_at: string }>(
      service.databaseUrl,
      `select id, to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as occurred_at
       from audit_events where type = 'session.created' and subject = $1`,
      [userIdOf(someone)],
    );
    const { id = '', occurred_at: timestamp } = event ?? {};
    const told = await Promise.all(
      made.map(async (each) => {
        const deliveries = await deliveriesOf(webhooks, each.id);
        return deliveries.filter(({ deliveryId }) => deliveryId === id).length;
      }),
    );
    assert.deepEqual(told, [1, 1, 1, 0]);
    const { data, ...rest } = JSON.parse(await payloadOf(service, id));
    assert.deepEqual(rest, { type: 'session.created', timestamp });
    const { details, ...ids } = data;
    assert.deepEqual(ids, { event_id: id, subject: userIdOf(someone), actor: userIdOf(someone) });
    assert.deepEqual(Object.keys(details).sort(), ['amr', 'session_id']);
  });

  it('E02 hands on no event that happened before the webhook was created', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newPaused(webhooks, ['account.exported']);
    await seed(service, 3, {
      type: 'account.exported',
      occurredAt: new Date(Date.now() - HOUR_MS),
    });
    await seed(service, 2, { type: 'account.exported' });
    await handedOn(service);
    assert.equal((await deliveriesOf(webhooks, id)).length, 2);
  });

  it('hands nothing to a disabled webhook, and what comes later to one that is enabled again', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newPaused(webhooks, ['account.unlocked']);
    await setState(webhooks, id, WebhookState.DISABLED);
    await seed(service, 2, { type: 'account.unlocked' });
    await handedOn(service);
    await setState(webhooks, id, WebhookState.PAUSED);
    await seed(service, 1, { type: 'account.unlocked' });
    await handedOn(service);
    assert.equal((await deliveriesOf(webhooks, id)).length, 1);
  });

  it('E02 hands on an event whose transaction commits late', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newPaused(webhooks, ['account.secured']);
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    await client.query('begin');
    const id = randomUUID();
    await client.query(
      `insert into audit_events (id, occurred_at, type, outcome, request_id, details)
       values ($1, now(), 'account.secured', 'success', 'late', '{}')`,
      [id],
    );
    await seed(service, 5, { type: 'account.secured' });
    await handedOn(service);
    await client.query('commit');
    await client.end();
    await handedOn(service);
    const { events, deliveries } = await toldOf(service, 'account.secured', webhookId);
    assert.ok(deliveries.includes(id));
    assert.deepEqual(deliveries, events);
  });

  it('C13 leaves nothing personal in the messages of a person who is erased', async () => {
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newPaused(webhooks, ['*']);
    const someone = await person(service, 'user');
    const account = accountOf(service, someone);
    await account.updateMe({ user: { displayName: 'Zebulon Quirk' } });
    await handedOn(service);
    await account.deleteMe({});
    await handedOn(service);
    const types = (await deliveriesOf(webhooks, id)).map(({ eventType }) => eventType);
    assert.ok(types.includes('account.updated') && types.includes('account.deleted'));
    const messages = await sql<{ payload: Buffer }>(
      service.databaseUrl,
      'select payload from webhook_messages',
    );
    const all = messages.map(({ payload }) => payload.toString()).join('\n');
    assert.ok(all.includes(someone.userId));
    for (const personal of [someone.email, 'Quirk', 'Pat', '127.0.0.1', 'connect-es']) {
      assert.equal(all.includes(personal), false, personal);
    }
  });

  it('follows the chain without a webhook, and without deliveries', async () => {
    const empty = await startWebhookService();
    await seed(empty, 1000);
    await chained(empty);
    await handedOn(empty);
    assert.equal((await sql(empty.databaseUrl, 'select 1 from webhook_messages')).length, 0);
  });
});

describe('The fan-out of the embedded database', () => {
  it('E02 hands events on, and again', async () => {
    const email = newEmail();
    const service = await startWebhookService({
      env: {
        DATABASE_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
        COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: email,
      },
    });
    const token = tokenIn(await service.mail.next(email, /account is ready/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: PASSWORD });
    const { accessToken } = await signIn(service, email);
    const webhooks = service.client(WebhookService, 'grpc', accessToken);
    const { id: webhookId } = await newPaused(webhooks, ['session.*']);
    const types = async () =>
      (await deliveriesOf(webhooks, webhookId)).map(({ eventType }) => eventType);
    await signIn(service, email);
    await eventually(async () => (await types()).includes('session.created'), 10_000);
    await webhooks.updateWebhook({ webhook: { webhookId, eventTypes: ['webhook.*'] } });
    await webhooks.redeliverWebhook({ webhookId, what: { case: 'range', value: {} } });
    await eventually(async () => (await types()).includes('webhook.created'), 10_000);
  });
});

describe('Many fan-outs', () => {
  it(`E02 hand each event on once if ${FAN_OUTS} are at it at the same time`, async () => {
    const service = await startWebhookService();
    const webhooks = await webhooksFor(service, 'admin');
    const made = await Promise.all([1, 2, 3].map(() => newPaused(webhooks, ['account.updated'])));
    const fanOuts = await Promise.all(Array.from({ length: FAN_OUTS }, () => fanOutOf(service)));
    // A row that is written a second time says so.
    await sql(
      service.databaseUrl,
      `create table written (id uuid);
       create function note() returns trigger language plpgsql as
         $$ begin insert into written values (new.message_id); return new; end $$;
       create trigger note before insert on webhook_deliveries for each row execute function note()`,
    );
    await seed(service, 5000, { type: 'account.updated' });
    for (const { start } of fanOuts) start();
    await handedOn(service);
    for (const { id } of made) {
      const { events, deliveries } = await toldOf(service, 'account.updated', id);
      assert.equal(deliveries.length, 5000);
      assert.deepEqual(deliveries, events);
    }
    const [tried] = await sql<{ n: number }>(
      service.databaseUrl,
      'select count(*)::int as n from written',
    );
    assert.equal(tried?.n, 3 * 5000);
  });

  it('E02 W05 lose nothing, and repeat nothing under another id, if they are killed', async () => {
    const first = await startWebhookService();
    const webhooks = await webhooksFor(first, 'admin');
    const { id: webhookId } = await newPaused(webhooks, ['account.updated']);
    await handedOn(first);
    await first.app.stop();
    const env = Object.fromEntries(
      Object.entries({ ...first.env, COUNTERSIGN_LOG_LEVEL: 'warn' }).filter(([, value]) => value),
    ) as Environment;
    for (let crash = 0; crash < CRASHES; crash += 1) {
      const child = await spawnService(env);
      await seed(first, 8000, { type: 'account.updated' });
      const [start] = await sql(first.databaseUrl, 'select position from webhook_fan_out');
      await eventually(async () => {
        const [row] = await sql(first.databaseUrl, 'select position from webhook_fan_out');
        return row?.['position'] !== start?.['position'];
      }, 60_000);
      assert.equal(await child.end('SIGKILL'), 'SIGKILL');
      const [unequal] = await sql<{ n: number }>(
        first.databaseUrl,
        `select count(*)::int as n from audit_events e
         full join webhook_deliveries d on d.message_id = e.id
         where coalesce(e.type = 'account.updated', true)
           and (e.position <= (select position from webhook_fan_out)) is distinct from
             (d.message_id is not null)
           and (e.position is not null or d.message_id is not null)`,
      );
      assert.equal(unequal?.n, 0);
    }
    const service = await startReplica(first);
    await handedOn(service);
    const { events, deliveries } = await toldOf(service, 'account.updated', webhookId);
    assert.deepEqual(deliveries, events);
    assert.equal(events.length, CRASHES * 8000);
  });
});
