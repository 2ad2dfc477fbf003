import { defineEntity, p } from '@mikro-orm/core';
import type { JWK } from 'jose';

export const SIGNING_ALGORITHMS = ['ES256', 'EdDSA', 'RS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

const SigningKeySchema = defineEntity({
  name: 'SigningKey',
  tableName: 'signing_keys',
  properties: {
    /** The `kid`: the RFC 7638 thumbprint of the public key. */
    id: p.text().primary(),
    algorithm: p.enum([...SIGNING_ALGORITHMS]).$type<SigningAlgorithm>(),
    state: p.enum(['next', 'active', 'retired']).$type<SigningKeyState>(),
    publicJwk: p.json().$type<JWK>(),
    /** The private half (PKCS 8, DER), sealed under the master key. */
    privateSealed: p.uint8array(),
    createdAt: p.datetime().columnType('timestamptz'),
    activatedAt: p.datetime().columnType('timestamptz').nullable(),
    retiredAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [
    {
      name: 'signing_keys_one_active',
      expression:
        "create unique index signing_keys_one_active on signing_keys (state) where state = 'active'",
    },
    {
      name: 'signing_keys_one_next',
      expression:
        "create unique index signing_keys_one_next on signing_keys (state) where state = 'next'",
    },
  ],
});

/**
 * A `next` key is published but does not sign yet, the `active` one signs, and a `retired` one is
 * published until the last token that it signed has expired. Then its row is deleted.
 */
export type SigningKeyState = 'next' | 'active' | 'retired';

export class SigningKey extends SigningKeySchema.class {}
SigningKeySchema.setClass(SigningKey);
