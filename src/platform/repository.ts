import { SqlEntityRepository } from '@mikro-orm/sql';
import { type Prepared, query, queryPrepared } from './sql.ts';

/** The statements of one table, on the connection or in the transaction of an entity manager. */
export abstract class Repository<Entity extends object> extends SqlEntityRepository<Entity> {
  /** Runs one SQL statement with `$1` parameters and returns its rows. */
  protected query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return query<Row>(this.em, sql, parameters);
  }

  /** Runs a prepared statement outside any transaction, and returns its rows. */
  protected queryPrepared<Row>(
    statement: Prepared,
    parameters: readonly unknown[],
  ): Promise<Row[]> {
    return queryPrepared<Row>(this.em, statement, parameters);
  }
}
