import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { webhooksIn } from './webhook.repository.ts';
import { newWebhookSecret } from './webhook-secret.ts';
import { type WebhookWithSecret, webhookView } from './webhook-view.ts';

const OVERLAP_MS = 24 * 3600_000;

/**
 * Replaces the secret of a webhook. The previous one signs too for another 24 hours; a rotation within
 * that time ends the oldest one at once.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`.
 */
export function rotateWebhookSecret(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  id: string,
): Promise<WebhookWithSecret> {
  return database.transaction(caller, async (tx) => {
    const webhook = await webhooksIn(tx.em).lock(id);
    await requireNow(tx, ['webhooks.write']);
    const { secret, sealed } = newWebhookSecret(keyring);
    webhook.previousSecret = webhook.secret;
    webhook.previousUntil = addMs(tx.now, OVERLAP_MS);
    webhook.secret = sealed;
    webhook.updatedAt = tx.now;
    tx.audit({ type: 'webhook.secret_rotated', details: { webhook_id: webhook.id } });
    return { webhook: webhookView(webhook, tx.now), secret };
  });
}
