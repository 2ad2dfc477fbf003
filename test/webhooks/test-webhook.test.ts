import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { WebhookDeliveryState, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
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

describe('TestWebhook', () => {
  it('sends a message to this webhook, whatever it subscribes to', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['account.created']);
    const other = await newPaused(webhooks, ['account.created']);
    const { delivery } = await webhooks.testWebhook({ webhookId });
    assert.deepEqual(
      [delivery?.eventType, delivery?.state],
      ['webhook.tested', WebhookDeliveryState.PENDING],
    );
    const payload = JSON.parse(await payloadOf(service, delivery?.deliveryId ?? ''));
    assert.deepEqual(payload.data.details, { webhook_id: webhookId });
    await handedOn(service);
    assert.equal((await deliveriesOf(webhooks, webhookId)).length, 1);
    assert.equal((await deliveriesOf(webhooks, other.id)).length, 0);
  });

  it('E02 sends the same bytes as to webhooks that subscribe to it', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['webhook.tested']);
    const { delivery } = await webhooks.testWebhook({ webhookId });
    const id = delivery?.deliveryId ?? '';
    const before = await payloadOf(service, id);
    await handedOn(service);
    const all = await deliveriesOf(webhooks, webhookId);
    assert.deepEqual(
      all.map(({ deliveryId }) => deliveryId),
      [id],
    );
    assert.equal(await payloadOf(service, id), before);
    assert.match(JSON.parse(before).timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  it('refuses a disabled webhook, and one that does not exist', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['*']);
    await setState(webhooks, webhookId, WebhookState.DISABLED);
    assert.equal((await refusal(webhooks.testWebhook({ webhookId }))).reason, 'WEBHOOK_DISABLED');
    const unknown = await refusal(webhooks.testWebhook({ webhookId: UNKNOWN_ID }));
    assert.equal(unknown.reason, 'NOT_FOUND');
  });
});
