import { etagOf } from '../platform/update.ts';
import type { Webhook } from './webhook.entity.ts';

/** A webhook as people see it: without its secrets. */
export type WebhookView = Pick<
  Webhook,
  'displayName' | 'url' | 'eventTypes' | 'state' | 'createdAt' | 'updatedAt'
> & {
  webhookId: string;
  disabledReason: Webhook['disabledReason'];
  failingSince: Date | null;
  /** Null unless it is in the future. */
  waitsUntil: Date | null;
  previousSecretUntil: Date | null;
  etag: string;
};

/** A webhook, and its secret, which is returned only once. */
export type WebhookWithSecret = { webhook: WebhookView; secret: string };

export function webhookView(webhook: Webhook, now: Date): WebhookView {
  const { id, displayName, url, state, createdAt, updatedAt } = webhook;
  const eventTypes = [...webhook.eventTypes];
  const disabledReason = webhook.disabledReason ?? null;
  const upcoming = (time: Date | null | undefined) => (time && time > now ? time : null);
  return {
    webhookId: id,
    displayName,
    url,
    eventTypes,
    state,
    disabledReason,
    createdAt,
    updatedAt,
    failingSince: webhook.failingSince ?? null,
    waitsUntil: upcoming(webhook.pauseUntil),
    previousSecretUntil: upcoming(webhook.previousUntil),
    etag: etagOf([displayName, url, eventTypes, state, disabledReason]),
  };
}
