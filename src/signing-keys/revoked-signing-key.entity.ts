import { defineEntity, p } from '@mikro-orm/core';
import type { JWK } from 'jose';
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from './signing-key.entity.ts';

const RevokedSigningKeySchema = defineEntity({
  name: 'RevokedSigningKey',
  tableName: 'revoked_signing_keys',
  properties: {
    id: p.text().primary(),
    algorithm: p.enum([...SIGNING_ALGORITHMS]).$type<SigningAlgorithm>(),
    publicJwk: p.json().$type<JWK>(),
    createdAt: p.datetime().columnType('timestamptz'),
    activatedAt: p.datetime().columnType('timestamptz').nullable(),
    retiredAt: p.datetime().columnType('timestamptz').nullable(),
    revokedAt: p.datetime().columnType('timestamptz').index('revoked_signing_keys_revoked_at'),
    reason: p.text(),
  },
});

/**
 * A revoked key, for operators to see, without its private half. It is kept apart from the keys in use:
 * no version of the program publishes or verifies with a key that is not among those.
 */
export class RevokedSigningKey extends RevokedSigningKeySchema.class {}
RevokedSigningKeySchema.setClass(RevokedSigningKey);
