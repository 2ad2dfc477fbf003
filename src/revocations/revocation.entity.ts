import { defineEntity, p } from '@mikro-orm/core';

const KINDS = ['session', 'token', 'subject', 'api_key', 'signing_key'] as const;

const RevocationSchema = defineEntity({
  name: 'Revocation',
  tableName: 'revocations',
  properties: {
    id: p.uuid().primary(),
    kind: p.enum([...KINDS]).$type<(typeof KINDS)[number]>(),
    target: p.text(),
    /** Of a subject: its tokens issued before this moment. */
    notBefore: p.datetime().columnType('timestamptz').nullable(),
    /** Of a subject: its tokens of lower versions; null if it has no version to go by. */
    belowVersion: p.integer().nullable(),
    cause: p.text(),
    /** By the database's clock, which all replicas share: they follow in this order. */
    createdAt: p
      .datetime()
      .columnType('timestamptz')
      .defaultRaw('clock_timestamp()')
      .index('revocations_created_at'),
    /** When the last token that it concerns has expired, so that the row can be deleted. */
    expiresAt: p.datetime().columnType('timestamptz').index('revocations_expires_at'),
  },
});

/** Says which tokens are refused although their signatures verify. */
export class Revocation extends RevocationSchema.class {}
RevocationSchema.setClass(Revocation);
