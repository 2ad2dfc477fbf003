import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const RecoveryCodeSchema = defineEntity({
  name: 'RecoveryCode',
  tableName: 'recovery_codes',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn().index('recovery_codes_account'),
    codeHash: p.uint8array(),
    keyVersion: p.smallint(),
    usedAt: p.datetime().columnType('timestamptz').nullable(),
  },
});

/** The hash of a code that replaces the authenticator app once. */
export class RecoveryCode extends RecoveryCodeSchema.class {}
RecoveryCodeSchema.setClass(RecoveryCode);
