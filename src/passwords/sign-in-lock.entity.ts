import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const SignInLockSchema = defineEntity({
  name: 'SignInLock',
  tableName: 'sign_in_locks',
  properties: {
    account: () => accountColumn().primary(),
    factor: p.enum(['password', 'code']).$type<GuessableFactor>().primary(),
    /** How many wrong ones were given in a row. */
    failures: p.integer(),
    lockedUntil: p.datetime().columnType('timestamptz').nullable(),
  },
});

/** What can be guessed: a password, or a code of six digits. */
export type GuessableFactor = 'password' | 'code';

/** How often in a row a factor of an account was wrong, and until when it is locked (C05). */
export class SignInLock extends SignInLockSchema.class {}
SignInLockSchema.setClass(SignInLock);
