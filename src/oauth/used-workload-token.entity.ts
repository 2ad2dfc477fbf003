import { defineEntity, p } from '@mikro-orm/core';

const UsedWorkloadTokenSchema = defineEntity({
  name: 'UsedWorkloadToken',
  tableName: 'used_workload_tokens',
  properties: {
    /** SHA-256 of the token's issuer and `jti`. */
    tokenHash: p.uint8array().primary(),
    /** From then on the token is refused without a look at this table. */
    expiresAt: p.datetime().columnType('timestamptz').index('used_workload_tokens_expires_at'),
  },
});

/** A token of an outside issuer that has been exchanged, and can't be again. */
export class UsedWorkloadToken extends UsedWorkloadTokenSchema.class {}
UsedWorkloadTokenSchema.setClass(UsedWorkloadToken);
