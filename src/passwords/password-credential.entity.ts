import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const PasswordCredentialSchema = defineEntity({
  name: 'PasswordCredential',
  tableName: 'password_credentials',
  properties: {
    account: () => accountColumn().primary(),
    /** `$argon2id$v=19$…` (PHC), or an imported hash: see `isSupportedHash`. */
    passwordHash: p.text(),
    changedAt: p.datetime().columnType('timestamptz'),
  },
});

/** The hash of an account's password. An account without one can't sign in by password. */
export class PasswordCredential extends PasswordCredentialSchema.class {}
PasswordCredentialSchema.setClass(PasswordCredential);
