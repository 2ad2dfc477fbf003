import { defineEntity, p } from '@mikro-orm/core';

const UsedFlowSchema = defineEntity({
  name: 'UsedFlow',
  tableName: 'used_federated_flows',
  properties: {
    id: p.uuid().primary(),
    /** From then on the login token is refused without a look at this table. */
    expiresAt: p.datetime().columnType('timestamptz').index('used_federated_flows_expires_at'),
  },
});

/** A visit to an identity provider whose code has been redeemed. Others are not stored: see `login-token.ts`. */
export class UsedFlow extends UsedFlowSchema.class {}
UsedFlowSchema.setClass(UsedFlow);
