import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { WebhookDeliveryState, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { seed } from '../audit/trail.ts';
import { sql } from '../harness/database.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import {
  deliveriesOf,
  handedOn,
  newPaused,
  payloadOf,
  setState,
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

const HOUR_MS = 3600_000;
const one = (deliveryId: string) => ({ case: 'deliveryId', value: deliveryId }) as const;
const range = (from?: Date, to?: Date) =>
  ({
    case: 'range',
    value: {
      ...(from && { from: timestampFromDate(from) }),
      ...(to && { to: timestampFromDate(to) }),
    },
  }) as const;

/** Makes all deliveries look as if they had been accepted. */
async function accepted(webhookId: string): Promise<void> {
  await sql(
    service.databaseUrl,
    `update webhook_deliveries set state = 'succeeded', next_attempt_at = null, retry_step = 3,
       hurried = true, attempt_count = 4 where webhook_id = $1`,
    [webhookId],
  );
}

async function states(webhookId: string): Promise<WebhookDeliveryState[]> {
  return (await deliveriesOf(webhooks, webhookId)).map(({ state }) => state);
}

describe('RedeliverWebhook', () => {
  it('E02 sends one delivery again, from the first step, with the same id and bytes', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.updated']);
    await seed(service, 2, { type: 'account.updated' });
    await handedOn(service);
    await accepted(webhookId);
    const [first, second] = await deliveriesOf(webhooks, webhookId);
    const id = first?.deliveryId ?? '';
    const bytes = await payloadOf(service, id);
    const { delivery } = await webhooks.redeliverWebhook({ webhookId, what: one(id) });
    assert.deepEqual(
      [delivery?.deliveryId, delivery?.state, delivery?.attemptCount],
      [id, WebhookDeliveryState.PENDING, 4],
    );
    const [row] = await sql(
      service.databaseUrl,
      'select retry_step, hurried from webhook_deliveries where message_id = $1',
      [id],
    );
    assert.deepEqual(row, { retry_step: 0, hurried: false });
    assert.equal(await payloadOf(service, id), bytes);
    const { deliveries } = await webhooks.listWebhookDeliveries({
      webhookId,
      state: WebhookDeliveryState.SUCCEEDED,
    });
    assert.deepEqual(
      deliveries.map(({ deliveryId }) => deliveryId),
      [second?.deliveryId],
    );
  });

  it('E02 sends all events of a time, also those of which the webhook was not told', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.unlocked']);
    await seed(service, 2, { type: 'account.unlocked' });
    await handedOn(service);
    await accepted(webhookId);
    const before = await deliveriesOf(webhooks, webhookId);
    await setState(webhooks, webhookId, WebhookState.DISABLED);
    await seed(service, 3, { type: 'account.unlocked' });
    await handedOn(service);
    await setState(webhooks, webhookId, WebhookState.PAUSED);
    await webhooks.redeliverWebhook({ webhookId, what: range() });
    await handedOn(service);
    const after = await deliveriesOf(webhooks, webhookId);
    assert.equal(after.length, 5);
    assert.ok(after.every(({ state }) => state === WebhookDeliveryState.PENDING));
    const ids = after.map(({ deliveryId }) => deliveryId);
    assert.ok(before.every(({ deliveryId }) => ids.includes(deliveryId)));
  });

  it('sends nothing outside of the time, nor from before the webhook was created', async () => {
    await seed(service, 2, { type: 'account.secured' });
    await handedOn(service);
    const { id: webhookId } = await newPaused(webhooks, ['account.secured']);
    await sql(
      service.databaseUrl,
      `update webhooks set created_at = created_at + interval '2 seconds' where id = $1`,
      [webhookId],
    );
    const at = (ms: number) => new Date(Date.now() + ms);
    for (const ms of [3000, HOUR_MS]) {
      await seed(service, 2, { type: 'account.secured', occurredAt: at(ms) });
    }
    await handedOn(service);
    assert.deepEqual((await states(webhookId)).length, 4);
    await accepted(webhookId);
    const what = range(new Date(0), at(HOUR_MS / 2));
    await webhooks.redeliverWebhook({ webhookId, what });
    await handedOn(service);
    const { PENDING, SUCCEEDED } = WebhookDeliveryState;
    assert.deepEqual(await states(webhookId), [SUCCEEDED, SUCCEEDED, PENDING, PENDING]);
  });

  it('sends thousands in batches', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.suspended']);
    await seed(service, 1100, { type: 'account.suspended' });
    await handedOn(service);
    await accepted(webhookId);
    await webhooks.redeliverWebhook({ webhookId, what: range() });
    await handedOn(service);
    const counted = await sql(
      service.databaseUrl,
      'select state, count(*)::int as n from webhook_deliveries where webhook_id = $1 group by 1',
      [webhookId],
    );
    assert.deepEqual(counted, [{ state: 'pending', n: 1100 }]);
  });

  it('refuses what does not exist, a time that ends first, and a disabled webhook', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.updated']);
    const reason = async (request: Parameters<Webhooks['redeliverWebhook']>[0]) =>
      (await refusal(webhooks.redeliverWebhook(request))).reason;
    assert.equal(await reason({ webhookId, what: one(UNKNOWN_ID) }), 'NOT_FOUND');
    assert.equal(await reason({ webhookId: UNKNOWN_ID, what: range() }), 'NOT_FOUND');
    assert.equal(await reason({ webhookId }), 'INVALID_REQUEST');
    const backwards = range(new Date(2000), new Date(1000));
    assert.equal(await reason({ webhookId, what: backwards }), 'INVALID_REQUEST');
    await setState(webhooks, webhookId, WebhookState.DISABLED);
    assert.equal(await reason({ webhookId, what: range() }), 'WEBHOOK_DISABLED');
  });

  it('refuses an eleventh time while ten are under way', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.updated']);
    const blocker = `insert into webhook_replays
      select gen_random_uuid(), $1, 'infinity', 'infinity', gen_random_uuid()
      from generate_series(1, 10)`;
    await sql(service.databaseUrl, blocker, [webhookId]);
    const refused = await refusal(webhooks.redeliverWebhook({ webhookId, what: range() }));
    assert.equal(refused.reason, 'TOO_MANY');
  });
});
