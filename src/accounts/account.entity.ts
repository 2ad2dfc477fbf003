import { defineEntity, p } from '@mikro-orm/core';
import { AccountRepository } from './account.repository.ts';

const AccountSchema = defineEntity({
  name: 'Account',
  tableName: 'accounts',
  repository: () => AccountRepository,
  properties: {
    id: p.uuid().primary(),
    /** As the person wrote it. */
    email: p.text(),
    /** By which it is found: see `canonicalEmail`. */
    canonicalEmail: p.text(),
    displayName: p.text(),
    state: p.enum(['active', 'suspended', 'deleted']).$type<AccountState>(),
    emailVerifiedAt: p.datetime().columnType('timestamptz').nullable(),
    /** Role names, in the order of granting. */
    roles: p.array().columnType('text[]'),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
    lastLoginAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [
    {
      name: 'accounts_live_email',
      expression:
        "create unique index accounts_live_email on accounts (canonical_email) where state <> 'deleted'",
    },
  ],
});

type AccountState = 'active' | 'suspended' | 'deleted';

/** A person who can sign in. An erased account keeps its row, and gives up its address. */
export class Account extends AccountSchema.class {
  get isVerified(): boolean {
    return this.emailVerifiedAt !== null && this.emailVerifiedAt !== undefined;
  }

  /**
   * Whether somebody else may still sign up with its address and take its place: nobody has proved
   * that it is theirs, and nobody has used it, which is possible where sign-ins need no proof.
   */
  get isUnclaimed(): boolean {
    return !this.isVerified && !this.lastLoginAt && this.state === 'active';
  }
}
AccountSchema.setClass(Account);

/** The column of what belongs to an account, and goes when its row does. */
export function accountColumn() {
  return p
    .manyToOne(Account)
    .mapToPk()
    .deleteRule('cascade')
    .updateRule('no action')
    .fieldName('account_id');
}
