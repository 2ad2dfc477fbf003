import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { webhooksIn } from './webhook.repository.ts';
import { type WebhookView, webhookView } from './webhook-view.ts';

/** Returns one webhook. Throws `NOT_FOUND`. */
export function getWebhook(
  { database }: { database: Database },
  caller: Caller,
  id: string,
): Promise<WebhookView> {
  return database.read(caller, async (em, now) => webhookView(await webhooksIn(em).get(id), now));
}
