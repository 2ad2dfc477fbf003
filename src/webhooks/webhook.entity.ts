import { defineEntity, p } from '@mikro-orm/core';

const WebhookSchema = defineEntity({
  name: 'Webhook',
  tableName: 'webhooks',
  properties: {
    id: p.uuid().primary(),
    displayName: p.text(),
    url: p.text(),
    /** Types of audit events; `session.*` for all that begin with `session.`, `*` for all there are. */
    eventTypes: p.array().columnType('text[]'),
    /** `paused`: deliveries wait. `disabled`: they wait, and new events make none. */
    state: p.enum(['enabled', 'paused', 'disabled']).$type<WebhookState>(),
    /** Null unless it is disabled. */
    disabledReason: p
      .enum(['requested', 'gone', 'failing'])
      .$type<WebhookDisabledReason>()
      .nullable(),
    /** The signing secret's bytes, sealed. */
    secret: p.uint8array(),
    /** The one before it, which signs too until `previousUntil`; sealed. */
    previousSecret: p.uint8array().nullable(),
    previousUntil: p.datetime().columnType('timestamptz').nullable(),
    /** When the first attempt failed of those since the last success. */
    failingSince: p.datetime().columnType('timestamptz').nullable(),
    /** Nothing is sent before this time: the target asked for time, or did not answer in time. */
    pauseUntil: p.datetime().columnType('timestamptz').nullable(),
    /** The replica that sends to it, until when it may do so without renewing that. */
    leasedBy: p.uuid().nullable(),
    leasedUntil: p.datetime().columnType('timestamptz').nullable(),
    createdAt: p.datetime().columnType('timestamptz'),
    /** When its settings were changed last; sending changes nothing here. */
    updatedAt: p.datetime().columnType('timestamptz'),
    /** It is gone, apart from deliveries that are still to be deleted. */
    deletedAt: p.datetime().columnType('timestamptz').nullable(),
  },
});

export type WebhookState = 'enabled' | 'paused' | 'disabled';

/** Who disabled it: an administrator, the target by answering 410, or days of nothing but failures. */
export type WebhookDisabledReason = 'requested' | 'gone' | 'failing';

/** An address that is told of events. */
export class Webhook extends WebhookSchema.class {}
WebhookSchema.setClass(Webhook);
