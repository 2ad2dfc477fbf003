import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const PasswordHistorySchema = defineEntity({
  name: 'PasswordHistory',
  tableName: 'password_history',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn(),
    passwordHash: p.text(),
    /** When it stopped being the account's password. */
    createdAt: p.datetime().columnType('timestamptz'),
  },
  indexes: [{ name: 'password_history_account', properties: ['account', 'id'] }],
});

/** The hash of a password that an account had before, so that it can't be set again (C02). */
export class PasswordHistory extends PasswordHistorySchema.class {}
PasswordHistorySchema.setClass(PasswordHistory);
