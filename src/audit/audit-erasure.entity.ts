import { defineEntity, p } from '@mikro-orm/core';

const AuditErasureSchema = defineEntity({
  name: 'AuditErasure',
  tableName: 'audit_erasures',
  properties: {
    accountId: p.uuid().primary(),
    requestedAt: p.datetime().columnType('timestamptz'),
    /** The last event handled among those by the account, and among those about it: an event's id. */
    actorAfter: p.uuid(),
    subjectAfter: p.uuid(),
  },
});

/**
 * A deleted account whose events still hold personal data: it had more of them than its deletion could
 * erase at once.
 */
export class AuditErasure extends AuditErasureSchema.class {}
AuditErasureSchema.setClass(AuditErasure);
