import { defineEntity, p } from '@mikro-orm/core';

const AuditChainSchema = defineEntity({
  name: 'AuditChain',
  tableName: 'audit_chain',
  properties: {
    /** Always 1: there is one chain. */
    id: p.smallint().primary().autoincrement(false),
    /** The last event that retention has deleted, which the oldest kept event follows. */
    anchorPosition: p.bigint('number'),
    anchorHash: p.uint8array(),
    /** The newest event. */
    position: p.bigint('number'),
    hash: p.uint8array(),
    /** Authenticates both ends, under a key that is not in the database. */
    mac: p.uint8array(),
    keyVersion: p.smallint(),
  },
});

/**
 * The two ends of the chain of audit events, authenticated. A transaction that moves them locks this
 * row.
 */
export class AuditChain extends AuditChainSchema.class {}
AuditChainSchema.setClass(AuditChain);
