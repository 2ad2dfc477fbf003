import { defineEntity, p } from '@mikro-orm/core';

const WebhookFanOutSchema = defineEntity({
  name: 'WebhookFanOut',
  tableName: 'webhook_fan_out',
  properties: {
    /** Always 1: there is one audit chain. */
    id: p.smallint().primary().autoincrement(false),
    /** The position of the last event in the chain that has been handed to webhooks. */
    position: p.bigint('number'),
  },
});

/** How far the audit chain has been handed to webhooks. A transaction that goes on locks this row. */
export class WebhookFanOut extends WebhookFanOutSchema.class {}
WebhookFanOutSchema.setClass(WebhookFanOut);
