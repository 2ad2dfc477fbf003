import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const IdentitySchema = defineEntity({
  name: 'Identity',
  tableName: 'identities',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn().index('identities_account'),
    /** The configured name of the provider that it was first used with. */
    provider: p.text(),
    issuer: p.text(),
    /** The issuer's name for the person. */
    subject: p.text(),
    /** The address that the provider gave when it was linked, for its owner to tell it from others. */
    email: p.text().nullable(),
    createdAt: p.datetime().columnType('timestamptz'),
    lastUsedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [{ name: 'identities_issuer_subject', properties: ['issuer', 'subject'] }],
});

/** Someone at an identity provider who may sign in to an account (F02). */
export class Identity extends IdentitySchema.class {}
IdentitySchema.setClass(Identity);
