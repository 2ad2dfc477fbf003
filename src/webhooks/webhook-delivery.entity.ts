import { defineEntity, p } from '@mikro-orm/core';
import { Webhook } from './webhook.entity.ts';
import { WebhookMessage } from './webhook-message.entity.ts';

const WebhookDeliverySchema = defineEntity({
  name: 'WebhookDelivery',
  tableName: 'webhook_deliveries',
  properties: {
    webhook: () =>
      p
        .manyToOne(Webhook)
        .mapToPk()
        .primary()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('webhook_id'),
    message: () =>
      p
        .manyToOne(WebhookMessage)
        .mapToPk()
        .primary()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('message_id')
        .index('webhook_deliveries_message_id'),
    state: p.enum(['pending', 'succeeded', 'failed']).$type<WebhookDeliveryState>(),
    createdAt: p.datetime().columnType('timestamptz'),
    /** Null unless it is pending. */
    nextAttemptAt: p.datetime().columnType('timestamptz').nullable(),
    /** The step of the schedule that the next attempt is. Sending again starts over. */
    retryStep: p.smallint(),
    /** Whether it has been sent before its time, once, because the target answered again. */
    hurried: p.boolean().default(false),
    /** How many attempts there have been. */
    attemptCount: p.integer(),
    /** The last of them, the latest last. */
    attempts: p.json().$type<WebhookAttempt[]>(),
  },
  indexes: [
    { name: 'webhook_deliveries_state', properties: ['webhook', 'state', 'message'] },
    {
      name: 'webhook_deliveries_due',
      expression:
        "create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_attempt_at, message_id) where state = 'pending'",
    },
  ],
});

export type WebhookDeliveryState = 'pending' | 'succeeded' | 'failed';

/** One attempt to deliver. The target's answer is not kept, apart from its status. */
export type WebhookAttempt = {
  /** RFC 3339, in UTC. */
  started_at: string;
  duration_ms: number;
  /** The HTTP status, if there was an answer. */
  status?: number;
  /** What went wrong, in a word: `timeout`, `refused_address`. Absent after a success. */
  failure?: string;
};

/** How many attempts a delivery keeps. */
export const KEPT_ATTEMPTS = 20;

/** A message on its way to one webhook. There is never a second one of the same message. */
export class WebhookDelivery extends WebhookDeliverySchema.class {}
WebhookDeliverySchema.setClass(WebhookDelivery);
