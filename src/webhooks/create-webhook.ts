import { v7 as uuidv7 } from 'uuid';
import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { checkEventTypes } from './event-types.ts';
import { webhooksIn } from './webhook.repository.ts';
import { newWebhookSecret } from './webhook-secret.ts';
import type { WebhookTargets } from './webhook-targets.ts';
import { type WebhookWithSecret, webhookView } from './webhook-view.ts';

const MAX_WEBHOOKS = 1000;

export type NewWebhook = { displayName: string; url: string; eventTypes: readonly string[] };

/**
 * Creates a webhook, which is told of events from now on. Its secret is sealed, and can't be seen again.
 *
 * Throws `INVALID_REQUEST`, `PERMISSION_DENIED`, `TOO_MANY`, `DEPENDENCY_UNAVAILABLE`.
 */
export async function createWebhook(
  needs: { database: Database; keyring: Keyring; webhookTargets: WebhookTargets },
  caller: Caller,
  { displayName, ...request }: NewWebhook,
): Promise<WebhookWithSecret> {
  const { database, keyring, webhookTargets } = needs;
  const eventTypes = checkEventTypes(request.eventTypes, 'event_types');
  // Before the transaction: a name server may take its time.
  const url = await webhookTargets.require(request.url, 'url');
  return database.transaction(caller, async (tx) => {
    const webhooks = webhooksIn(tx.em);
    const count = await webhooks.countLocked();
    await requireNow(tx, ['webhooks.write']);
    if (count >= MAX_WEBHOOKS) throw tooManyWebhooks();
    const { secret, sealed } = newWebhookSecret(keyring);
    const created = webhooks.create({
      id: uuidv7(),
      displayName,
      url,
      eventTypes,
      state: 'enabled',
      secret: sealed,
      createdAt: tx.now,
      updatedAt: tx.now,
    });
    const details = { webhook_id: created.id, event_types: eventTypes };
    tx.audit({ type: 'webhook.created', details });
    await tx.em.persist(created).flush();
    return { webhook: webhookView(created, tx.now), secret };
  });
}

function tooManyWebhooks(): Failure {
  const message = `there are ${MAX_WEBHOOKS} webhooks already; delete one first`;
  return new Failure('precondition', 'TOO_MANY', message);
}
