import { defineEntity, p } from '@mikro-orm/core';

const ServiceAccountSchema = defineEntity({
  name: 'ServiceAccount',
  tableName: 'service_accounts',
  properties: {
    id: p.uuid().primary(),
    displayName: p.text(),
    description: p.text(),
    /** Role names, in the order of granting. */
    roles: p.array().columnType('text[]'),
    state: p.enum(['active', 'suspended', 'deleted']).$type<ServiceAccountState>(),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
    /** Incremented when something is taken from it: tokens of lower versions are revoked. */
    tokenVersion: p.integer().default(0),
  },
  indexes: [
    {
      name: 'service_accounts_roles',
      expression: 'create index service_accounts_roles on service_accounts using gin (roles)',
    },
  ],
});

type ServiceAccountState = 'active' | 'suspended' | 'deleted';

/** A program that acts with its own API keys. A deleted one keeps its row, for the audit log. */
export class ServiceAccount extends ServiceAccountSchema.class {}
ServiceAccountSchema.setClass(ServiceAccount);
