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

/** Parses a `timestamptz` of a row that `query` returned, which is text. Precise to the millisecond. */
export function timestamp(text: string): Date {
  return new Date(text);
}
