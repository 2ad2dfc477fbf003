import { PostgreSqlConnection } from '@mikro-orm/postgresql';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { CompiledQuery } from 'kysely';

/** MikroORM's view of one connection or transaction: identity map, unit of work and SQL. */
export type EntityManager = SqlEntityManager;

/** Runs one SQL statement with `$1` parameters on the manager's connection or transaction. */
export async function query<Row>(
  em: EntityManager,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const result = await em.getKysely().executeQuery(CompiledQuery.raw(sql, [...parameters]));
  return result.rows as Row[];
}

/** A statement that the server parses and plans once for each connection; its name is unique. */
export type Prepared = { name: string; text: string };

/** SQLSTATEs of a statement that this server has not prepared: a pooler may have changed servers. */
const NOT_PREPARED = new Set(['26000', '42P05', '0A000']);

/**
 * Runs a prepared statement outside any transaction. The embedded database does not prepare it, nor does
 * one behind a pooler: those are the connections that have no limit from the start.
 */
export async function queryPrepared<Row>(
  em: EntityManager,
  { name, text }: Prepared,
  parameters: readonly unknown[],
): Promise<Row[]> {
  const connection = em.getConnection();
  if (!(connection instanceof PostgreSqlConnection)) return query(em, text, parameters);
  const pool = await connection.getNativeClient();
  if (!pool.options.statement_timeout) return query(em, text, parameters);
  try {
    return (await pool.query({ name, text, values: [...parameters] })).rows;
  } catch (error) {
    if (!NOT_PREPARED.has((error as { code?: string }).code ?? '')) throw error;
    return query(em, text, parameters);
  }
}

/** Parses a `timestamptz` of a row that `query` returned, which is text. Precise to the millisecond. */
export function timestamp(text: string): Date {
  return new Date(text);
}
