import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const PasswordCredentialSchema = defineEntity({
  name: 'PasswordCredential',
  tableName: 'password_credentials',
  properties: {
    account: () => accountColumn().primary(),
    /** A PHC string, `$argon2id$v=19$…`. */
    passwordHash: p.text(),
    changedAt: p.datetime().columnType('timestamptz'),
  },
});

/** The password of an account, hashed. An account without one can't sign in by password. */
export class PasswordCredential extends PasswordCredentialSchema.class {}
PasswordCredentialSchema.setClass(PasswordCredential);
