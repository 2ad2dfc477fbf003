import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { FanOut } from './fan-out.ts';
import type { Webhook } from './webhook.entity.ts';
import { webhooksIn } from './webhook.repository.ts';
import { type DeliveryView, webhookDeliveriesIn } from './webhook-delivery.repository.ts';
import { webhookReplaysIn } from './webhook-replay.repository.ts';

/** How many ranges of a webhook may be under way. */
const MAX_REPLAYS = 10;

/** One delivery, or those of the events of a time; its ends may be open. */
export type RedeliverWebhook = { webhookId: string } & (
  | { deliveryId: string }
  | { startsAt: Date | undefined; endsAt: Date | undefined }
);

/**
 * Sends messages again under the ids that they had (E02), whatever became of them: one, which is
 * returned, or those of all events of a time, in the background. The latter includes events that the
 * webhook was not told of, but none from before it was created.
 *
 * Throws `NOT_FOUND`, `WEBHOOK_DISABLED`, `INVALID_REQUEST`, `TOO_MANY`, `PERMISSION_DENIED`.
 */
export function redeliverWebhook(
  { database, fanOut }: { database: Database; fanOut: Pick<FanOut, 'told'> },
  caller: Caller,
  request: RedeliverWebhook,
): Promise<DeliveryView | undefined> {
  return database.transaction(caller, async (tx) => {
    const webhook = await webhooksIn(tx.em).lock(request.webhookId);
    await requireNow(tx, ['webhooks.write']);
    requireUndisabled(webhook);
    if ('deliveryId' in request) {
      tx.afterCommit(fanOut.told);
      return sendOne(tx, webhook, request.deliveryId);
    }
    await sendRange(tx, webhook, request);
    return undefined;
  });
}

async function sendOne(tx: Transaction, webhook: Webhook, id: string): Promise<DeliveryView> {
  const deliveries = webhookDeliveriesIn(tx.em);
  const which = { webhookId: webhook.id, messageId: id.toLowerCase() };
  await deliveries.sendNow(which, tx.now);
  const delivery = await deliveries.view(which);
  const details = { webhook_id: webhook.id, delivery_id: delivery.deliveryId };
  tx.audit({ type: 'webhook.redelivered', details });
  return delivery;
}

async function sendRange(
  tx: Transaction,
  webhook: Webhook,
  range: { startsAt: Date | undefined; endsAt: Date | undefined },
): Promise<void> {
  const { startsAt = webhook.createdAt, endsAt = tx.now } = range;
  if (startsAt >= endsAt) throw invalidField('range', 'ends before it starts');
  const replays = webhookReplaysIn(tx.em);
  if ((await replays.count({ webhook: webhook.id })) >= MAX_REPLAYS) {
    const message = `${MAX_REPLAYS} times are being sent again to this webhook; wait for one`;
    throw new Failure('precondition', 'TOO_MANY', message);
  }
  const from = startsAt < webhook.createdAt ? webhook.createdAt : startsAt;
  replays.add(webhook.id, { startsAt: from, endsAt });
  const times = { from: from.toISOString(), to: endsAt.toISOString() };
  tx.audit({ type: 'webhook.redelivered', details: { webhook_id: webhook.id, ...times } });
}

/** Throws `WEBHOOK_DISABLED`: what is asked for would wait for ever. */
export function requireUndisabled({ state }: Webhook): void {
  if (state !== 'disabled') return;
  const message = 'the webhook is disabled; enable it first';
  throw new Failure('precondition', 'WEBHOOK_DISABLED', message);
}
