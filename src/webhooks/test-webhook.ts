import { requireNow } from '../access/held-now.ts';
import { auditEventsIn } from '../audit/audit-event.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { FanOut } from './fan-out.ts';
import { requireUndisabled } from './redeliver-webhook.ts';
import { webhooksIn } from './webhook.repository.ts';
import { type DeliveryView, webhookDeliveriesIn } from './webhook-delivery.repository.ts';
import { webhookMessagesIn } from './webhook-message.repository.ts';
import { messageOfNew } from './webhook-message.ts';

/**
 * Sends the event of this very call to a webhook, whatever it subscribes to. Returns the delivery, which
 * goes the way of all others.
 *
 * Throws `NOT_FOUND`, `WEBHOOK_DISABLED`, `PERMISSION_DENIED`.
 */
export function testWebhook(
  { database, fanOut }: { database: Database; fanOut: Pick<FanOut, 'told'> },
  caller: Caller,
  id: string,
): Promise<DeliveryView> {
  return database.transaction(caller, async (tx) => {
    const webhook = await webhooksIn(tx.em).lock(id);
    await requireNow(tx, ['webhooks.write']);
    requireUndisabled(webhook);
    const details = { webhook_id: webhook.id };
    const event = tx.auditEvent({ type: 'webhook.tested', details });
    auditEventsIn(tx.em).add(event);
    const pair = { webhookId: webhook.id, messageId: event.id };
    await webhookMessagesIn(tx.em).insertMissing([messageOfNew(event)], tx.now);
    await webhookDeliveriesIn(tx.em).insertMissing([pair], tx.now);
    tx.afterCommit(fanOut.told);
    return webhookDeliveriesIn(tx.em).view(pair);
  });
}
