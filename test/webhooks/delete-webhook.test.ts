import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import { handedOn, newPaused, startWebhookService, webhooksFor } from './webhooks.ts';

describe('DeleteWebhook', () => {
  it('deletes a webhook with its secret, and makes no delivery for it any more', async () => {
    const service = await startWebhookService();
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newPaused(webhooks, ['*']);
    const other = await newPaused(webhooks, ['webhook.*']);
    await webhooks.deleteWebhook({ webhookId });
    for (const call of [
      () => webhooks.getWebhook({ webhookId }),
      () => webhooks.deleteWebhook({ webhookId }),
      () => webhooks.listWebhookDeliveries({ webhookId }),
      () => webhooks.testWebhook({ webhookId }),
      () => webhooks.updateWebhook({ webhook: { webhookId, displayName: 'x' } }),
    ]) {
      assert.equal((await refusal(call())).reason, 'NOT_FOUND');
    }
    const count = async () => {
      const statement = 'select count(*)::int as n from webhook_deliveries where webhook_id = $1';
      return (await sql<{ n: number }>(service.databaseUrl, statement, [webhookId]))[0]?.n;
    };
    await handedOn(service);
    const before = await count();
    await webhooks.testWebhook({ webhookId: other.id });
    await handedOn(service);
    assert.equal(await count(), before);
    const secrets = await sql<{ left: number }>(
      service.databaseUrl,
      'select length(secret) as left from webhooks where id = $1',
      [webhookId],
    );
    assert.deepEqual(secrets, [{ left: 0 }]);
  });
});
