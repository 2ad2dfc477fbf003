import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import { webhooksIn } from './webhook.repository.ts';
import type { WebhookDeliveryState } from './webhook-delivery.entity.ts';
import { type DeliveryView, webhookDeliveriesIn } from './webhook-delivery.repository.ts';

/**
 * Lists the deliveries of a webhook, those of the newest events first. Every page costs the same.
 *
 * Throws `NOT_FOUND`, and `INVALID_REQUEST` for a foreign page token.
 */
export async function listWebhookDeliveries(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: PageRequest & { webhookId: string; state: WebhookDeliveryState | undefined },
): Promise<{ deliveries: DeliveryView[]; nextPageToken: string }> {
  const { state, ...page } = request;
  const webhookId = request.webhookId.toLowerCase();
  const { items: deliveries, nextPageToken } = await readPage(
    keyring,
    ['webhook_deliveries', webhookId, state ?? ''],
    page,
    (before, limit) =>
      database.read(caller, async (em) => {
        await webhooksIn(em).get(webhookId);
        return webhookDeliveriesIn(em).list({ webhookId, state, before, limit });
      }),
    ({ deliveryId }) => deliveryId,
  );
  return { deliveries, nextPageToken };
}
