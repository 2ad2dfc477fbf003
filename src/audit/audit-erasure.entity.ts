import { defineEntity, p } from '@mikro-orm/core';

const AuditErasureSchema = defineEntity({
  name: 'AuditErasure',
  tableName: 'audit_erasures',
  properties: {
    accountId: p.uuid().primary(),
    requestedAt: p.datetime().columnType('timestamptz'),
    /** How far it has come among the events by the account, and among those on it: an event's id. */
    actorAfter: p.uuid(),
    subjectAfter: p.uuid(),
  },
});

/** An account that is gone, and has more events than its deletion could erase the personal part of. */
export class AuditErasure extends AuditErasureSchema.class {}
AuditErasureSchema.setClass(AuditErasure);
