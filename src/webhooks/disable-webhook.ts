import { rolesIn } from '../access/role.repository.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { webhooksIn } from './webhook.repository.ts';

/** How many people are told. */
const MAX_MAILS = 20;

/**
 * Disables a webhook whose target is gone, or that has failed for days, and tells the people who may
 * enable it. Does nothing if it is disabled or deleted already, or has another URL by now.
 */
export async function disableWebhook(
  tx: Transaction,
  { id, url }: { id: string; url: string },
  reason: 'gone' | 'failing',
): Promise<void> {
  const webhook = await webhooksIn(tx.em).lockLive(id);
  if (!webhook || webhook.state === 'disabled' || webhook.url !== url) return;
  webhook.state = 'disabled';
  webhook.disabledReason = reason;
  webhook.updatedAt = tx.now;
  tx.audit({
    type: 'webhook.disabled',
    outcome: 'failure',
    details: { webhook_id: webhook.id, cause: reason },
  });
  const roles = await rolesIn(tx.em).namesWith('webhooks.write');
  const { displayName: webhookName } = webhook;
  for (const { email: to, ...owner } of await accountsIn(tx.em).holding(roles, MAX_MAILS)) {
    await tx.mail({ template: 'webhook_disabled', to, ...owner, webhookName, reason });
  }
}
