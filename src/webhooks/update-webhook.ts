import { requireNow } from '../access/held-now.ts';
import type { Caller } from '../platform/caller.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { checkEventTypes } from './event-types.ts';
import type { FanOut } from './fan-out.ts';
import type { Webhook, WebhookState } from './webhook.entity.ts';
import { webhooksIn } from './webhook.repository.ts';
import { webhookDeliveriesIn } from './webhook-delivery.repository.ts';
import type { WebhookTargets } from './webhook-targets.ts';
import { type WebhookView, webhookView } from './webhook-view.ts';

/** Field names of the API, and the settings that they stand for. */
const EDITABLE = {
  display_name: 'displayName',
  url: 'url',
  event_types: 'eventTypes',
  state: 'state',
} as const;
type Editable = keyof typeof EDITABLE;
const NAMES = Object.keys(EDITABLE) as Editable[];

type Settings = Pick<Webhook, 'displayName' | 'url' | 'eventTypes' | 'state'>;

export type UpdateWebhook = Omit<Settings, 'state'> & {
  webhookId: string;
  state: WebhookState | undefined;
  /** The version of the webhook to change; empty: any. */
  etag: string;
  /** Field names (AIP-134). Empty: those that are not empty. */
  mask: readonly string[];
};

/**
 * Changes a webhook. If it is enabled, what waits for it is sent now.
 *
 * Throws `NOT_FOUND`, `ETAG_MISMATCH`, `INVALID_REQUEST`, `PERMISSION_DENIED`,
 * `DEPENDENCY_UNAVAILABLE`.
 */
export async function updateWebhook(
  needs: { database: Database; webhookTargets: WebhookTargets; fanOut: Pick<FanOut, 'told'> },
  caller: Caller,
  request: UpdateWebhook,
): Promise<WebhookView> {
  const { database, webhookTargets, fanOut } = needs;
  const names = fieldsToUpdate(request.mask, NAMES, (name) => isGiven(request[EDITABLE[name]]));
  const changes = await checked(webhookTargets, request, names);
  return database.transaction(caller, async (tx) => {
    const webhook = await webhooksIn(tx.em).lock(request.webhookId);
    await requireNow(tx, ['webhooks.write']);
    requireEtag(request.etag, webhookView(webhook, tx.now).etag);
    if (await change(tx, webhook, changes)) tx.afterCommit(fanOut.told);
    return webhookView(webhook, tx.now);
  });
}

/** The new values of these fields, as they are stored. */
async function checked(
  targets: WebhookTargets,
  { displayName, url, eventTypes, state }: UpdateWebhook,
  names: readonly Editable[],
): Promise<Partial<Settings>> {
  const has = (name: Editable) => names.includes(name);
  if (has('display_name') && displayName === '') {
    throw invalidField('webhook.display_name', 'is empty');
  }
  if (has('state') && state === undefined) throw invalidField('webhook.state', 'is not stated');
  return {
    ...(has('display_name') && { displayName }),
    ...(has('url') && { url: await targets.require(url, 'webhook.url') }),
    ...(has('event_types') && { eventTypes: checkEventTypes(eventTypes, 'webhook.event_types') }),
    ...(has('state') && state && { state }),
  };
}

/** Makes the changes, and records them. Returns whether the webhook has been enabled. */
async function change(
  tx: Transaction,
  webhook: Webhook,
  changes: Partial<Settings>,
): Promise<boolean> {
  const fields = NAMES.filter((name) => {
    const value = changes[EDITABLE[name]];
    return value !== undefined && `${value}` !== `${webhook[EDITABLE[name]]}`;
  });
  if (fields.length === 0) return false;
  const { id, eventTypes, state } = webhook;
  const before = { event_types: eventTypes, state };
  Object.assign(webhook, changes, { updatedAt: tx.now });
  const after = { event_types: webhook.eventTypes, state: webhook.state };
  tx.audit({ type: 'webhook.updated', details: { webhook_id: id, fields, before, after } });
  if (fields.includes('url')) Object.assign(webhook, { failingSince: null, pauseUntil: null });
  if (!fields.includes('state')) return false;
  webhook.disabledReason = webhook.state === 'disabled' ? 'requested' : null;
  if (webhook.state !== 'enabled') return false;
  Object.assign(webhook, { failingSince: null, pauseUntil: null });
  await webhookDeliveriesIn(tx.em).sendFirstNow(id, tx.now);
  return true;
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) || typeof value === 'string' ? value.length > 0 : value !== undefined;
}
