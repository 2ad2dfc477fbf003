import { defineEntity, p } from '@mikro-orm/core';

const AuditEventSchema = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    id: p.uuid().primary(),
    occurredAt: p.datetime().columnType('timestamptz'),
    type: p.text(),
    /** The id of the account that acted; null if nobody was signed in. */
    actor: p.uuid().nullable(),
    actorType: p.text().nullable(),
    /** The API key that the actor used. */
    apiKeyId: p.uuid().nullable(),
    /** The id of the account that it happened to; null if none. */
    subject: p.uuid().nullable(),
    outcome: p.enum(['success', 'failure']).$type<'success' | 'failure'>(),
    reason: p.text().nullable(),
    /** Erased with the account that it belongs to, like `personal`. The hashes below stay. */
    ipAddress: p.text().nullable(),
    requestId: p.text(),
    details: p.json().$type<Record<string, unknown>>(),
    /** The data that belongs to the subject alone, as the canonical JSON that is hashed. */
    personal: p.text().nullable(),
    ipSalt: p.uint8array().nullable(),
    ipHash: p.uint8array().nullable(),
    personalSalt: p.uint8array().nullable(),
    personalHash: p.uint8array().nullable(),
    /** The event's place in the chain; null until it has one. */
    position: p.bigint('number').nullable(),
    hash: p.uint8array().nullable(),
    /** Proves that this service wrote the hash: a key version, and a MAC. */
    seal: p.uint8array().nullable(),
  },
  indexes: [
    { name: 'audit_events_subject', properties: ['subject', 'id'] },
    { name: 'audit_events_actor', properties: ['actor', 'id'] },
    { name: 'audit_events_type', properties: ['type', 'id'] },
    { name: 'audit_events_outcome', properties: ['outcome', 'id'] },
    {
      name: 'audit_events_unchained',
      expression: 'create index audit_events_unchained on audit_events (id) where position is null',
    },
  ],
  uniques: [
    {
      name: 'audit_events_position',
      expression:
        'create unique index audit_events_position on audit_events (position) where position is not null',
    },
  ],
});

/**
 * A sensitive action that was done or attempted. An event is never changed, with two exceptions: it
 * gets its place in the chain once, and its personal part can be erased.
 */
export class AuditEvent extends AuditEventSchema.class {}
AuditEventSchema.setClass(AuditEvent);
