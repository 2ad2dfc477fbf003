import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { newPaused, startWebhookService, type Webhooks, webhooksFor } from './webhooks.ts';

let webhooks: Webhooks;

before(async () => {
  webhooks = await webhooksFor(await startWebhookService(), 'admin');
});

describe('GetWebhook', () => {
  it('returns a webhook, whatever the case of its id', async () => {
    const { id } = await newPaused(webhooks, ['*']);
    const { webhook } = await webhooks.getWebhook({ webhookId: id.toUpperCase() });
    assert.deepEqual([webhook?.webhookId, webhook?.eventTypes], [id, ['*']]);
  });

  it('does not find one that does not exist', async () => {
    const refused = await refusal(webhooks.getWebhook({ webhookId: UNKNOWN_ID }));
    assert.equal(refused.reason, 'NOT_FOUND');
  });
});
