import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { webhooksIn } from '../../src/webhooks/webhook.repository.ts';
import { webhookMessagesIn } from '../../src/webhooks/webhook-message.repository.ts';
import { seed } from '../audit/trail.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import type { Service } from '../harness/service.ts';
import {
  deliveriesOf,
  handedOn,
  newPaused,
  startWebhookService,
  type Webhooks,
  webhooksFor,
} from './webhooks.ts';

let service: Service;
let webhooks: Webhooks;

before(async () => {
  service = await startWebhookService();
  webhooks = await webhooksFor(service, 'admin');
});

async function connection(): Promise<SqlDatabase> {
  const config = readConfig(service.env, () => '');
  const database = await openDatabase(config, createLog('silent'));
  atEnd(() => database.close());
  return database;
}

describe('The retention of webhooks', () => {
  it('deletes messages with their deliveries after 30 days, in batches', async () => {
    const { id } = await newPaused(webhooks, ['account.updated']);
    await seed(service, 300, { type: 'account.updated' });
    await handedOn(service);
    const [newest] = await deliveriesOf(webhooks, id);
    await sql(
      service.databaseUrl,
      `update webhook_messages set created_at = now() - interval '31 days' where id <> $1`,
      [newest?.deliveryId],
    );
    const database = await connection();
    const forget = () => database.read((em) => webhookMessagesIn(em).forgetOld(new Date()));
    assert.equal(await forget(), true);
    while (await forget());
    const left = await deliveriesOf(webhooks, id);
    assert.deepEqual(
      left.map(({ deliveryId }) => deliveryId),
      [newest?.deliveryId],
    );
  });

  it('deletes what a deleted webhook has left, in batches, and nothing of others', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.exported']);
    const other = await newPaused(webhooks, ['account.exported']);
    await seed(service, 1200, { type: 'account.exported' });
    await handedOn(service);
    await webhooks.deleteWebhook({ webhookId });
    const database = await connection();
    while (await database.read((em) => webhooksIn(em).forgetDeleted()));
    const left = await sql(
      service.databaseUrl,
      `select (select count(*)::int from webhooks where id = $1) as webhooks,
         (select count(*)::int from webhook_deliveries where webhook_id = $1) as deliveries`,
      [webhookId],
    );
    assert.deepEqual(left, [{ webhooks: 0, deliveries: 0 }]);
    assert.equal((await deliveriesOf(webhooks, other.id)).length, 1200);
  });
});
