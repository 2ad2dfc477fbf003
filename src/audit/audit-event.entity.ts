import { defineEntity, p } from '@mikro-orm/core';

const AuditEventSchema = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    id: p.uuid().primary(),
    occurredAt: p.datetime().columnType('timestamptz'),
    type: p.text(),
    /** Who did it: an account's id, or null for nobody signed in. */
    actor: p.uuid().nullable(),
    /** The account that it happened to, or null for none. */
    subject: p.uuid().nullable(),
    outcome: p.enum(['success', 'failure']).$type<'success' | 'failure'>(),
    reason: p.text().nullable(),
    ipAddress: p.text().nullable(),
    requestId: p.text(),
    details: p.json().$type<Record<string, unknown>>(),
  },
  indexes: [
    { name: 'audit_events_subject', properties: ['subject', 'id'] },
    { name: 'audit_events_actor', properties: ['actor', 'id'] },
    { name: 'audit_events_type', properties: ['type', 'id'] },
  ],
});

/** Something sensitive that somebody did or tried. Written once, never changed. */
export class AuditEvent extends AuditEventSchema.class {}
AuditEventSchema.setClass(AuditEvent);
