import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import { webhooksIn } from './webhook.repository.ts';
import { type WebhookView, webhookView } from './webhook-view.ts';

/** Lists webhooks, newest first. Throws `INVALID_REQUEST` for a foreign page token. */
export async function listWebhooks(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: PageRequest,
): Promise<{ webhooks: WebhookView[]; nextPageToken: string }> {
  const { items: webhooks, nextPageToken } = await readPage(
    keyring,
    ['webhooks'],
    request,
    (before, limit) =>
      database.read(caller, async (em, now) => {
        const where = { deletedAt: null, ...(before === undefined ? {} : { id: { $lt: before } }) };
        const found = await webhooksIn(em).find(where, { orderBy: { id: 'desc' }, limit });
        return found.map((webhook) => webhookView(webhook, now));
      }),
    ({ webhookId }) => webhookId,
  );
  return { webhooks, nextPageToken };
}
