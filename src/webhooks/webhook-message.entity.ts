import { defineEntity, p } from '@mikro-orm/core';

const WebhookMessageSchema = defineEntity({
  name: 'WebhookMessage',
  tableName: 'webhook_messages',
  properties: {
    /** The header `webhook-id`: the id of the audit event that it tells of, or of its own for a test. */
    id: p.uuid().primary(),
    type: p.text(),
    /** The bytes of the body, the same in every attempt. They name nobody. */
    payload: p.uint8array(),
    createdAt: p.datetime().columnType('timestamptz').index('webhook_messages_created_at'),
  },
});

/** What is sent to webhooks: one message for each event, whoever gets it. */
export class WebhookMessage extends WebhookMessageSchema.class {}
WebhookMessageSchema.setClass(WebhookMessage);
