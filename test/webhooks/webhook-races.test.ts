import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { makeMessages, settled, startSender } from './deliveries.ts';
import { startTarget } from './target-server.ts';
import { deliveriesOf, newWebhook, setState, webhooksFor } from './webhooks.ts';

/** A target that answers when it is told to, each request once. */
async function holdingTarget() {
  const held: ServerResponse[] = [];
  const target = await startTarget((response) => {
    held.push(response);
  });
  return { ...target, held };
}

describe('a change while a message is on its way', () => {
  it('E03 to another URL: what the former target answers is not held against the new one', async () => {
    for (const [status, headers] of [
      [410, {}],
      [429, { 'retry-after': '600' }],
    ] as const) {
      const former = await holdingTarget();
      const target = await startTarget();
      const service = await startSender([former, target]);
      const webhooks = await webhooksFor(service, 'admin');
      const { id: webhookId } = await newWebhook(webhooks, ['account.created'], former.url);
      const made = await makeMessages(webhooks, webhookId, 2);
      await eventually(() => former.held.length === 1);
      await webhooks.updateWebhook({ webhook: { webhookId, url: target.url } });
      former.held[0]?.writeHead(status, headers).end();
      await eventually(async () =>
        (await deliveriesOf(webhooks, webhookId)).some(({ attempts }) =>
          attempts.some(({ httpStatus }) => httpStatus === status),
        ),
      );
      service.clock.advance(7000);
      await settled(webhooks, webhookId);
      const { webhook } = await webhooks.getWebhook({ webhookId });
      assert.equal(webhook?.state, WebhookState.ENABLED);
      const seen = target.received.map((one) => one.headers['webhook-id']);
      assert.deepEqual(seen.toSorted(), made.toSorted());
    }
  });

  it('E03 to send it again: its last attempt, which fails, is not the last', async () => {
    const target = await holdingTarget();
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newWebhook(webhooks, ['account.created'], target.url);
    await setState(webhooks, webhookId, WebhookState.PAUSED);
    const [deliveryId = ''] = await makeMessages(webhooks, webhookId, 1);
    await sql(service.databaseUrl, 'update webhook_deliveries set retry_step = 9');
    await setState(webhooks, webhookId, WebhookState.ENABLED);
    await eventually(() => target.held.length === 1);
    await webhooks.redeliverWebhook({ webhookId, what: { case: 'deliveryId', value: deliveryId } });
    target.held[0]?.writeHead(500).end();
    await eventually(() => target.held.length === 2);
    target.held[1]?.writeHead(204).end();
    const [delivery] = await settled(webhooks, webhookId);
    assert.equal(delivery?.attemptCount, 2);
  });
});

describe('many targets', () => {
  it('E03 that always have something to get keep no other waiting', async () => {
    const busy = await startTarget((response) => {
      setTimeout(() => response.writeHead(204).end(), 200);
    });
    const target = await startTarget();
    const service = await startSender([busy, target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: first } = await newWebhook(webhooks, ['account.created'], target.url);
    await setState(webhooks, first, WebhookState.PAUSED);
    await makeMessages(webhooks, first, 1);
    await sql(
      service.databaseUrl,
      `with w as (
         insert into webhooks (id, display_name, url, event_types, state, secret, created_at, updated_at)
         select gen_random_uuid(), 'Busy', '${busy.url}', event_types, 'enabled', secret, created_at, updated_at
         from webhooks, generate_series(1, 210) returning id, created_at),
       m as (
         insert into webhook_messages (id, type, payload, created_at)
         select gen_random_uuid(), type, payload, created_at
         from webhook_messages, generate_series(1, 200) returning id)
       select count(*) from w, m`,
    );
    await sql(
      service.databaseUrl,
      `insert into webhook_deliveries (webhook_id, message_id, state, created_at, next_attempt_at,
         retry_step, attempt_count, attempts)
       select w.id, m.id, 'pending', m.created_at, m.created_at, 0, 0, '[]'
       from webhooks w, webhook_messages m where w.display_name = 'Busy'`,
    );
    await eventually(() => busy.received.length > 200, 30_000);
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    // The others come first, which have not been served yet.
    await sql(
      service.databaseUrl,
      'update webhooks set leased_until = statement_timestamp() where id = $1',
      [id],
    );
    await makeMessages(webhooks, id, 1);
    await eventually(() => target.received.length > 0, 40_000);
    const busyStill = await sql(
      service.databaseUrl,
      `select id from webhooks w where display_name = 'Busy' and exists (
         select from webhook_deliveries d where d.webhook_id = w.id and d.state = 'pending')`,
    );
    assert.equal(busyStill.length, 210);
  });
});
