import { operator } from '../platform/caller.ts';
import { createWebhook } from '../webhooks/create-webhook.ts';
import { deleteWebhook } from '../webhooks/delete-webhook.ts';
import { listWebhookDeliveries } from '../webhooks/list-webhook-deliveries.ts';
import { listWebhooks } from '../webhooks/list-webhooks.ts';
import { redeliverWebhook } from '../webhooks/redeliver-webhook.ts';
import { rotateWebhookSecret } from '../webhooks/rotate-webhook-secret.ts';
import { testWebhook } from '../webhooks/test-webhook.ts';
import { updateWebhook } from '../webhooks/update-webhook.ts';
import type { WebhookState } from '../webhooks/webhook.entity.ts';
import type { WebhookDeliveryState } from '../webhooks/webhook-delivery.entity.ts';
import type { DeliveryView } from '../webhooks/webhook-delivery.repository.ts';
import { WebhookTargets } from '../webhooks/webhook-targets.ts';
import type { WebhookView, WebhookWithSecret } from '../webhooks/webhook-view.ts';
import type { Answer, OnDatabase } from './on-database.ts';

const PAGE = 100;

/** What a command was given, checked. What it does not take is empty. */
export type Given = {
  webhookId: string;
  deliveryId: string;
  name: string;
  url: string;
  event: string[];
  state: string;
  from: Date | undefined;
  to: Date | undefined;
};

export type WebhookCommand = (on: OnDatabase, given: Given) => Promise<Answer>;

/** The service finds out by itself: it looks every second. */
const fanOut = { told: () => {} };

function needs(on: OnDatabase) {
  return { ...on, fanOut, webhookTargets: new WebhookTargets(on.config.webhooks) };
}

export const create: WebhookCommand = async (on, { name, url, event }) => {
  const request = { displayName: name, url, eventTypes: event };
  return shown(await createWebhook(needs(on), operator(), request));
};

export const update: WebhookCommand = async (on, { webhookId, name, url, event, state }) => {
  const values = { displayName: name, url, eventTypes: event };
  const newState = state === '' ? undefined : (state as WebhookState);
  const request = { ...values, webhookId, state: newState, etag: '', mask: [] };
  const webhook = await updateWebhook(needs(on), operator(), request);
  return { json: { webhook }, text: line(webhook) };
};

export const list: WebhookCommand = async (on) => {
  const webhooks: WebhookView[] = [];
  for (let pageToken = ''; ; ) {
    const page = await listWebhooks(on, operator(), { pageSize: PAGE, pageToken });
    webhooks.push(...page.webhooks);
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  return { json: { webhooks }, text: webhooks.map(line).join('') };
};

export const rotate: WebhookCommand = async (on, { webhookId }) =>
  shown(await rotateWebhookSecret(on, operator(), webhookId));

export const remove: WebhookCommand = async (on, { webhookId }) => {
  await deleteWebhook(on, operator(), webhookId);
  return { json: { webhookId, deleted: true }, text: `deleted ${webhookId}\n` };
};

export const deliveries: WebhookCommand = async (on, { webhookId, state }) => {
  const only = state === '' ? undefined : (state as WebhookDeliveryState);
  const page = { pageSize: PAGE, pageToken: '' };
  const request = { webhookId, state: only, ...page };
  const found = await listWebhookDeliveries(on, operator(), request);
  return { json: found, text: found.deliveries.map(deliveryLine).join('') };
};

export const redeliver: WebhookCommand = async (on, { webhookId, deliveryId, from, to }) => {
  const what = deliveryId === '' ? { startsAt: from, endsAt: to } : { deliveryId };
  const delivery = await redeliverWebhook(needs(on), operator(), { webhookId, ...what });
  if (delivery) return { json: { delivery }, text: deliveryLine(delivery) };
  return { json: {}, text: 'the events of that time are being sent again\n' };
};

export const test: WebhookCommand = async (on, { webhookId }) => {
  const delivery = await testWebhook(needs(on), operator(), webhookId);
  return { json: { delivery }, text: deliveryLine(delivery) };
};

function shown({ webhook, secret }: WebhookWithSecret): Answer {
  return { json: { webhook, secret }, text: `${line(webhook)}${secret}\n` };
}

function line(webhook: WebhookView): string {
  const { webhookId, displayName, url, eventTypes, state, disabledReason, failingSince } = webhook;
  const why = disabledReason ? ` (${disabledReason})` : '';
  const failing = failingSince ? `  failing since ${failingSince.toISOString()}` : '';
  return `${webhookId}  ${displayName}  ${state}${why}  ${url}  [${eventTypes.join(' ')}]${failing}\n`;
}

function deliveryLine(delivery: DeliveryView): string {
  const { deliveryId, eventType, state, attemptCount, attempts, nextAttemptAt } = delivery;
  const last = attempts.at(-1);
  const outcome = last ? `  ${last.failure ?? 'ok'}${last.status ? ` ${last.status}` : ''}` : '';
  const next = nextAttemptAt ? `  next ${nextAttemptAt.toISOString()}` : '';
  return `${deliveryId}  ${eventType}  ${state}  attempts ${attemptCount}${outcome}${next}\n`;
}
