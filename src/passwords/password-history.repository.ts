import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { PasswordHistory } from './password-history.entity.ts';

export class PasswordHistoryRepository extends Repository<PasswordHistory> {
  /** The hashes of the last `count` passwords that the account had before, the newest first. */
  async before(accountId: string, count: number): Promise<string[]> {
    const rows = await this.query<{ passwordHash: string }>(
      `select password_hash as "passwordHash" from password_history
       where account_id = $1 order by id desc limit $2`,
      [accountId, count],
    );
    return rows.map(({ passwordHash }) => passwordHash);
  }

  /** Forgets all passwords that the account had before, except the newest `keep`. */
  async trim(accountId: string, keep: number): Promise<void> {
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
