import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const OneTimeTokenSchema = defineEntity({
  name: 'OneTimeToken',
  tableName: 'mailed_tokens',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn().index('mailed_tokens_account'),
    purpose: p
      .enum(['verify_email', 'reset_password', 'change_email', 'secure_account', 'mfa_challenge'])
      .$type<TokenPurpose>(),
    secretHash: p.uint8array(),
    keyVersion: p.smallint(),
    /** What the token is about, apart from its account. */
    details: p.json().$type<TokenDetails>().nullable(),
    createdAt: p.datetime().columnType('timestamptz'),
    /** The same by the database's clock, which orders the notices of an account. Null in old rows. */
    recordedAt: p.datetime().columnType('timestamptz').nullable().defaultRaw('clock_timestamp()'),
    expiresAt: p.datetime().columnType('timestamptz').index('mailed_tokens_expires_at'),
    usedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [
    {
      name: 'mailed_tokens_one_change',
      expression:
        "create unique index mailed_tokens_one_change on mailed_tokens (account_id, purpose) where used_at is null and purpose in ('change_email', 'mfa_challenge')",
    },
  ],
});

/** What a token of each purpose is about. */
export type TokenDetails = {
  /** `verify_email`: how many sign-ups there had been, the last of which the link confirms. */
  signUp?: number;
  /** `change_email`: the address that the token was mailed to. */
  newEmail?: string;
  /** `mfa_challenge`: the label of the device that signs in. */
  deviceLabel?: string;
  /** `mfa_challenge`: how the first factor was proved (RFC 8176). Missing: by password. */
  amr?: string[];
  /** `mfa_challenge`: the identity provider that it was proved to. */
  idp?: string;
  /** `mfa_challenge`: when that was, in milliseconds since 1970, if it was not when the challenge was made. */
  provedAt?: number;
  /** `secure_account`: the change that the notice reported, if it added something. */
  undo?: Undo;
};

/**
 * How to undo a change that a notice reported: the address before it, or what was added. Anything that
 * lets someone sign in is recorded here when it is added; answering a notice relies on that (C14).
 */
export type Undo = {
  email?: string;
  totp?: true;
  recoveryCodes?: true;
  passkey?: string;
  identity?: string;
};

export type TokenPurpose =
  | 'verify_email'
  | 'reset_password'
  | 'change_email'
  | 'secure_account'
  | 'mfa_challenge';

/**
 * The secret of a mailed link or a sign-in challenge, as a keyed hash. An account has one live change of
 * address and one live challenge, the links that were just mailed to verify its address and to set its
 * password, and those of all notices: each can be answered.
 */
export class OneTimeToken extends OneTimeTokenSchema.class {}
OneTimeTokenSchema.setClass(OneTimeToken);
