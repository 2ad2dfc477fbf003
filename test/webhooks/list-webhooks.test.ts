import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refusal } from '../harness/refusal.ts';
import { newPaused, startWebhookService, webhooksFor } from './webhooks.ts';

describe('ListWebhooks', () => {
  it('lists them by pages, the newest first, without those that were deleted', async () => {
    const webhooks = await webhooksFor(await startWebhookService(), 'admin');
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1) ids.unshift((await newPaused(webhooks, ['*'])).id);
    const [, deleted = ''] = ids;
    await webhooks.deleteWebhook({ webhookId: deleted });
    const first = await webhooks.listWebhooks({ pageSize: 2 });
    const { nextPageToken: pageToken } = first;
    const second = await webhooks.listWebhooks({ pageSize: 2, pageToken });
    assert.deepEqual(
      [...first.webhooks, ...second.webhooks].map(({ webhookId }) => webhookId),
      ids.filter((id) => id !== deleted),
    );
    assert.equal(second.nextPageToken, '');
    const foreign = await refusal(webhooks.listWebhooks({ pageToken: `${pageToken}x` }));
    assert.equal(foreign.reason, 'INVALID_REQUEST');
  });
});
