import { defineEntity, p } from '@mikro-orm/core';
import { Webhook } from './webhook.entity.ts';

const WebhookReplaySchema = defineEntity({
  name: 'WebhookReplay',
  tableName: 'webhook_replays',
  properties: {
    id: p.uuid().primary(),
    webhook: () =>
      p
        .manyToOne(Webhook)
        .mapToPk()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('webhook_id')
        .index('webhook_replays_webhook_id'),
    /** Events from this time on, and before `endsAt`. */
    startsAt: p.datetime().columnType('timestamptz'),
    endsAt: p.datetime().columnType('timestamptz'),
    /** The last event that is done: an event's id. */
    afterEvent: p.uuid(),
  },
});

/** A range of events that one webhook is to get again, done in batches in the background. */
export class WebhookReplay extends WebhookReplaySchema.class {}
WebhookReplaySchema.setClass(WebhookReplay);
