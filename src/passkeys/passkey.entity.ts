import { defineEntity, p } from '@mikro-orm/core';
import { accountColumn } from '../accounts/account.entity.ts';

const PasskeySchema = defineEntity({
  name: 'Passkey',
  tableName: 'passkeys',
  properties: {
    id: p.uuid().primary(),
    account: () => accountColumn().index('passkeys_account'),
    /** The authenticator's name for it, in base64url. */
    credentialId: p.text().unique('passkeys_credential_id'),
    /** In COSE form (RFC 9052). */
    publicKey: p.uint8array(),
    /** How often it has signed; 0 if the authenticator does not count. */
    counter: p.bigint('number'),
    transports: p.array().columnType('text[]'),
    /** Whether it may exist on several devices (WebAuthn's backup eligibility). */
    synced: p.boolean(),
    displayName: p.text(),
    createdAt: p.datetime().columnType('timestamptz'),
    lastUsedAt: p.datetime().columnType('timestamptz').nullable(),
  },
});

/** The public half of an account's passkey or security key. */
export class Passkey extends PasskeySchema.class {}
PasskeySchema.setClass(Passkey);
