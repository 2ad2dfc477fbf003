import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { WebhookDeliveryState } from '../../gen/countersign/v1/webhook_pb.ts';
import type { WebhookAttempt } from '../../src/webhooks/webhook-delivery.entity.ts';
import { seed } from '../audit/trail.ts';
import { sql } from '../harness/database.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
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

describe('ListWebhookDeliveries', () => {
  it('lists them by pages, those of the newest events first', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.updated']);
    await seed(service, 5, { type: 'account.updated' });
    await handedOn(service);
    const all = (await deliveriesOf(webhooks, webhookId)).map(({ deliveryId }) => deliveryId);
    assert.deepEqual(all, all.toSorted().reverse());
    const first = await webhooks.listWebhookDeliveries({ webhookId, pageSize: 3 });
    const { nextPageToken: pageToken } = first;
    const second = await webhooks.listWebhookDeliveries({ webhookId, pageSize: 3, pageToken });
    const paged = [...first.deliveries, ...second.deliveries];
    assert.deepEqual(
      paged.map(({ deliveryId }) => deliveryId),
      all,
    );
    const other = { webhookId, state: WebhookDeliveryState.PENDING, pageToken };
    const foreign = await refusal(webhooks.listWebhookDeliveries(other));
    assert.equal(foreign.reason, 'INVALID_REQUEST');
  });

  it('shows the state and the attempts of each, and finds them by state', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.exported']);
    await seed(service, 2, { type: 'account.exported' });
    await handedOn(service);
    const [newest] = await deliveriesOf(webhooks, webhookId);
    const attempts: WebhookAttempt[] = [
      { started_at: '2026-11-22T08:00:00.000Z', duration_ms: 15_000, failure: 'timeout' },
      { started_at: '2026-11-22T08:00:05.000Z', duration_ms: 12, status: 500, failure: 'status' },
    ];
    await sql(
      service.databaseUrl,
      `update webhook_deliveries set state = 'failed', next_attempt_at = null, attempt_count = 2,
         attempts = $2 where message_id = $1`,
      [newest?.deliveryId, JSON.stringify(attempts)],
    );
    const failed = { webhookId, state: WebhookDeliveryState.FAILED };
    const { deliveries } = await webhooks.listWebhookDeliveries(failed);
    const [delivery, ...more] = deliveries;
    assert.deepEqual([delivery?.deliveryId, more.length], [newest?.deliveryId, 0]);
    assert.equal(delivery?.nextAttemptAt, undefined);
    assert.deepEqual(
      delivery?.attempts.map(({ duration, httpStatus, failure }) => [
        duration && durationMs(duration),
        httpStatus,
        failure,
      ]),
      [
        [15_000, 0, 'timeout'],
        [12, 500, 'status'],
      ],
    );
    const pending = { webhookId, state: WebhookDeliveryState.PENDING };
    assert.equal((await webhooks.listWebhookDeliveries(pending)).deliveries.length, 1);
  });

  it('does not find a webhook that does not exist', async () => {
    const refused = await refusal(webhooks.listWebhookDeliveries({ webhookId: UNKNOWN_ID }));
    assert.equal(refused.reason, 'NOT_FOUND');
  });
});
