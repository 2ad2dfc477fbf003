import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { PasswordHistory } from './password-history.entity.ts';

export class PasswordHistoryRepository extends Repository<PasswordHistory> {
  /** The hash of the account's present password, if it has one. */
  async current(accountId: string): Promise<string | undefined> {
    const rows = await this.query<{ passwordHash: string }>(
      `select password_hash as "passwordHash" from password_credentials where account_id = $1`,
      [accountId],
    );
    return rows[0]?.passwordHash;
  }

  /** The hashes of so many passwords that the account had before, the newest first. */
  async before(accountId: string, count: number): Promise<string[]> {
    const rows = await this.query<{ passwordHash: string }>(
      `select password_hash as "passwordHash" from password_history
       where account_id = $1 order by id desc limit $2`,
      [accountId, count],
    );
    return rows.map(({ passwordHash }) => passwordHash);
  }

  /** Sets the account's password, and keeps the one before among the last `keep`. */
  async replace(accountId: string, passwordHash: string, keep: number, now: Date): Promise<void> {
    await this.retire(accountId, keep, now);
    await this.query(
      `insert into password_credentials (account_id, password_hash, changed_at) values ($1, $2, $3)`,
      [accountId, passwordHash, now],
    );
  }

  /** Takes the account's password away, and keeps it among the last `keep`. */
  async retire(accountId: string, keep: number, now: Date): Promise<void> {
    await this.query(
      `with gone as (delete from password_credentials where account_id = $1 returning password_hash)
       insert into password_history (id, account_id, password_hash, created_at)
       select $2, $1, password_hash, $3 from gone`,
      [accountId, uuidv7(), now],
    );
    await this.query(
      `delete from password_history where account_id = $1 and id not in
       (select id from password_history where account_id = $1 order by id desc limit $2)`,
      [accountId, keep],
    );
  }
}

/** The password history that a connection or a transaction sees. */
export function passwordHistoryIn(em: EntityManager): PasswordHistoryRepository {
  return new PasswordHistoryRepository(em, PasswordHistory);
}
