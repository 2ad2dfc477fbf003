import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { webhooksIn } from './webhook.repository.ts';

/**
 * Deletes a webhook. Its deliveries, of which there may be a million, are deleted in the background.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`.
 */
export async function deleteWebhook(
  { database }: { database: Database },
  caller: Caller,
  id: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const webhook = await webhooksIn(tx.em).lock(id);
    await requireNow(tx, ['webhooks.write']);
    tx.audit({ type: 'webhook.deleted', details: { webhook_id: webhook.id } });
    Object.assign(webhook, { displayName: '', url: '', state: 'disabled', deletedAt: tx.now });
    Object.assign(webhook, { secret: Buffer.alloc(0), previousSecret: null, previousUntil: null });
  });
}
