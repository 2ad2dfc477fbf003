import { defineEntity, p } from '@mikro-orm/core';
import { Account } from './account.entity.ts';
import { MailedTokenRepository } from './mailed-token.repository.ts';

const MailedTokenSchema = defineEntity({
  name: 'MailedToken',
  tableName: 'mailed_tokens',
  repository: () => MailedTokenRepository,
  properties: {
    id: p.uuid().primary(),
    account: () =>
      p
        .manyToOne(Account)
        .mapToPk()
        .deleteRule('cascade')
        .updateRule('no action')
        .fieldName('account_id')
        .index('mailed_tokens_account'),
    purpose: p.enum(['verify_email']).$type<MailedTokenPurpose>(),
    secretHash: p.uint8array(),
    keyVersion: p.smallint(),
    createdAt: p.datetime().columnType('timestamptz'),
    expiresAt: p.datetime().columnType('timestamptz').index('mailed_tokens_expires_at'),
    usedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [
    {
      name: 'mailed_tokens_live',
      expression:
        'create unique index mailed_tokens_live on mailed_tokens (account_id, purpose) where used_at is null',
    },
  ],
});

export type MailedTokenPurpose = 'verify_email';

/** What a mailed link proves, as a keyed hash. An account has one live token for each purpose. */
export class MailedToken extends MailedTokenSchema.class {}
MailedTokenSchema.setClass(MailedToken);
