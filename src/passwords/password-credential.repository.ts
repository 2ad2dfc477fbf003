import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { PasswordCredential } from './password-credential.entity.ts';

export class PasswordCredentialRepository extends Repository<PasswordCredential> {
  /** The hash of the account's present password, if it has one. */
  async hashOf(accountId: string): Promise<string | undefined> {
    const rows = await this.query<{ passwordHash: string }>(
      `select password_hash as "passwordHash" from password_credentials where account_id = $1`,
      [accountId],
    );
    return rows[0]?.passwordHash;
  }

  /** Sets the account's password, whether or not it has one, and forgets the one before. */
  async set(accountId: string, passwordHash: string, now: Date): Promise<void> {
    await this.query(
      `insert into password_credentials (account_id, password_hash, changed_at) values ($1, $2, $3)
       on conflict (account_id) do update
       set password_hash = excluded.password_hash, changed_at = excluded.changed_at`,
      [accountId, passwordHash, now],
    );
  }

  /** Stores another hash of the same password, unless the stored one is no longer `from`. */
  async rehash(accountId: string, from: string, to: string): Promise<void> {
    await this.query(
      `update password_credentials set password_hash = $1
       where account_id = $2 and password_hash = $3`,
      [to, accountId, from],
    );
  }

  /** Makes the account's password stop working, and moves its hash to the history. */
  async retire(accountId: string, now: Date): Promise<void> {
    await this.query(
      `with gone as (delete from password_credentials where account_id = $1 returning password_hash)
       insert into password_history (id, account_id, password_hash, created_at)
       select $2, $1, password_hash, $3 from gone`,
      [accountId, uuidv7(), now],
    );
  }
}

/** The password credentials that a connection or a transaction sees. */
export function passwordsIn(em: EntityManager): PasswordCredentialRepository {
  return new PasswordCredentialRepository(em, PasswordCredential);
}
