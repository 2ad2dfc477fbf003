import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Passkey } from './passkey.entity.ts';

/** How many an account may have. */
export const MAX_PASSKEYS = 20;

type NewPasskey = {
  id: string;
  account: string;
  credentialId: string;
  publicKey: Uint8Array;
  counter: number;
  /** Names of WebAuthn's `AuthenticatorTransport`. */
  transports: readonly string[];
  synced: boolean;
  displayName: string;
  createdAt: Date;
};

export class PasskeyRepository extends Repository<Passkey> {
  /** The account's passkeys, the oldest first. */
  listOf(account: string): Promise<Passkey[]> {
    return this.find({ account }, { orderBy: { createdAt: 'asc', id: 'asc' } });
  }

  /** The id of the account that has the passkey with this credential id, if one has. */
  async findOwner(credentialId: string): Promise<string | undefined> {
    const rows = await this.query<{ owner: string }>(
      'select account_id as owner from passkeys where credential_id = $1',
      [credentialId],
    );
    return rows[0]?.owner;
  }

  /** Stores a new passkey, unless an account has this credential already. Returns whether it did. */
  async insertNew(passkey: NewPasskey): Promise<boolean> {
    const inserted = await this.query(
      `insert into passkeys (id, account_id, credential_id, public_key, counter, transports, synced,
         display_name, created_at)
       values ($1, $2, $3, $4, $5, $6::text[], $7, $8, $9)
       on conflict (credential_id) do nothing returning 1`,
      [
        passkey.id,
        passkey.account,
        passkey.credentialId,
        passkey.publicKey,
        passkey.counter,
        `{${passkey.transports.join(',')}}`,
        passkey.synced,
        passkey.displayName,
        passkey.createdAt,
      ],
    );
    return inserted.length === 1;
  }
}

/** The passkeys that a connection or a transaction sees. */
export function passkeysIn(em: EntityManager): PasskeyRepository {
  return new PasskeyRepository(em, Passkey);
}

export function noSuchPasskey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'the account has no such passkey');
}

export function tooManyPasskeys(): Failure {
  const message = `the account has ${MAX_PASSKEYS} passkeys, the most it may have; delete one first`;
  return new Failure('precondition', 'TOO_MANY', message);
}
