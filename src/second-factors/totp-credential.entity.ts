import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const TotpCredentialSchema = defineEntity({
  name: 'TotpCredential',
  tableName: 'totp_credentials',
  properties: {
    account: () => accountColumn().primary(),
    /** 20 random bytes, encrypted under the master key. */
    secretSealed: p.uint8array(),
    createdAt: p.datetime().columnType('timestamptz'),
    /** Null while the enrolment has only begun. */
    confirmedAt: p.datetime().columnType('timestamptz').nullable(),
    /** The time step of the last accepted code: only codes of later steps work (C09). */
    lastStep: p.integer(),
  },
});

/** The secret of an account's authenticator app (RFC 6238). */
export class TotpCredential extends TotpCredentialSchema.class {}
TotpCredentialSchema.setClass(TotpCredential);
