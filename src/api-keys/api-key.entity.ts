import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';
import { ServiceAccount } from '../service-accounts/service-account.entity.ts';

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    /** The user that the key belongs to; null if it belongs to a service account. */
    account: () => accountColumn().nullable(),
    serviceAccount: () =>
      p
        .manyToOne(ServiceAccount)
        .mapToPk()
        .nullable()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('service_account_id'),
    displayName: p.text(),
    /** Names of permissions. */
    scopes: p.array().columnType('text[]'),
    /** The keyed hash of the secret, and the version of the master key that it was made under. */
    secretHash: p.uint8array(),
    keyVersion: p.smallint(),
    /** The same of the secret before the last rotation, and until when that secret works. */
    previousHash: p.uint8array().nullable(),
    previousKeyVersion: p.smallint().nullable(),
    previousExpiresAt: p.datetime().columnType('timestamptz').nullable(),
    allowedCidrs: p.array().columnType('text[]'),
    limitRequests: p.integer().nullable(),
    limitSeconds: p.integer().nullable(),
    createdAt: p.datetime().columnType('timestamptz'),
    /** Since when it is noted which scopes the key uses. */
    observedSince: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    expiresAt: p.datetime().columnType('timestamptz').nullable().index('api_keys_expires_at'),
    revokedAt: p.datetime().columnType('timestamptz').nullable().index('api_keys_revoked_at'),
    lastUsedAt: p.datetime().columnType('timestamptz').nullable(),
    lastUsedAddress: p.text().nullable(),
    /** Incremented by each change of the key, or of what its owner may do. */
    version: p.integer().default(1),
    /** When that was, by the database's clock, which all replicas share: they follow by it. */
    changedAt: p
      .datetime()
      .columnType('timestamptz')
      .defaultRaw('clock_timestamp()')
      .index('api_keys_changed_at'),
  },
  indexes: [
    { name: 'api_keys_account', properties: ['account', 'id'] },
    { name: 'api_keys_service_account', properties: ['serviceAccount', 'id'] },
  ],
  checks: [
    {
      name: 'api_keys_owner',
      expression: '(account_id is null) <> (service_account_id is null)',
    },
  ],
});

/** A credential for a program. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);
