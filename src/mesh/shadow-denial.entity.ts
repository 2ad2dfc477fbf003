import { defineEntity, p } from '@mikro-orm/core';

const ShadowDenialSchema = defineEntity({
  name: 'ShadowDenial',
  tableName: 'shadow_denials',
  properties: {
    id: p.uuid().primary(),
    /** The rule that the proxy asked by, cut to 256 characters. */
    rule: p.text(),
    reason: p.text(),
    /** The id of the user or service account; empty if the credential named none. */
    subject: p.text().index('shadow_denials_subject'),
    /** Empty without an API key. */
    apiKeyId: p.text(),
    count: p.bigint('number'),
    firstAt: p.datetime().columnType('timestamptz'),
    lastAt: p.datetime().columnType('timestamptz').index('shadow_denials_last_at'),
  },
  uniques: [{ name: 'shadow_denials_what', properties: ['rule', 'reason', 'subject', 'apiKeyId'] }],
});

/** How often shadow mode let a request through that would have been denied. */
export class ShadowDenial extends ShadowDenialSchema.class {}
ShadowDenialSchema.setClass(ShadowDenial);
