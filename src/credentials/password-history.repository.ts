import { EntityRepository } from '@mikro-orm/core';
import { v7 as uuidv7 } from 'uuid';
import { type EntityManager, query } from '../platform/database.ts';
import type { PasswordHistory } from './password-history.entity.ts';

export class PasswordHistoryRepository extends EntityRepository<PasswordHistory> {
  /** The hash of the account's present password, if it has one. */
  async current(accountId: string): Promise<string | undefined> {
    const rows = await query<{ passwordHash: string }>(
      this.#sql,
      `select password_hash as "passwordHash" from password_credentials where account_id = $1`,
      [accountId],
    );
    return rows[0]?.passwordHash;
  }

  /** The hashes of so many passwords that the account had before, the newest first. */
  async before(accountId: string, count: number): Promise<string[]> {
    const rows = await query<{ passwordHash: string }>(
      this.#sql,
      `select password_hash as "passwordHash" from password_history
       where account_id = $1 order by id desc limit $2`,
      [accountId, count],
    );
    return rows.map(({ passwordHash }) => passwordHash);
  }

  /** Sets the account's password, and keeps the one before among the last `keep`. */
  async replace(accountId: string, passwordHash: string, keep: number, now: Date): Promise<void> {
    await this.retire(accountId, keep, now);
    await query(
      this.#sql,
      `insert into password_credentials (account_id, password_hash, changed_at) values ($1, $2, $3)`,
      [accountId, passwordHash, now],
    );
  }

  /** Takes the account's password away, and keeps it among the last `keep`. */
  async retire(accountId: string, keep: number, now: Date): Promise<void> {
    await query(
      this.#sql,
      `with gone as (delete from password_credentials where account_id = $1 returning password_hash)
       insert into password_history (id, account_id, password_hash, created_at)
       select $2, $1, password_hash, $3 from gone`,
      [accountId, uuidv7(), now],
    );
    await query(
      this.#sql,
      `delete from password_history where account_id = $1 and id not in
       (select id from password_history where account_id = $1 order by id desc limit $2)`,
      [accountId, keep],
    );
  }

  get #sql(): EntityManager {
    return this.getEntityManager() as unknown as EntityManager;
  }
}
