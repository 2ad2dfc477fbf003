import { Repository } from './repository.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

/** What may be used once, until it expires: a table of those that have been used. */
export abstract class UsedOnceRepository<Entity extends object, Key> extends Repository<Entity> {
  /** The table, and its primary key. */
  protected abstract readonly table: { name: string; key: string };

  /**
   * Uses something up. Of several calls with one key, exactly one returns true: the others wait for its
   * transaction, and return true only if that is rolled back.
   */
  async use(key: Key, expiresAt: Date): Promise<boolean> {
    const { name, key: column } = this.table;
    const used = await this.query(
      `insert into ${name} (${column}, expires_at) values ($1, $2) on conflict do nothing returning 1`,
      [key, expiresAt],
    );
    return used.length === 1;
  }

  /** Deletes some of those that expired before `limit`. Returns whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const { name, key } = this.table;
    const gone = await this.query(
      `delete from ${name} where ${key} in
       (select ${key} from ${name} where expires_at < $1 limit ${BATCH}) returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}
