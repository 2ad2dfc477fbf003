import pg from 'pg';
import { atEnd, atFileEnd } from './at-end.ts';
import { POSTGRES_URL, TEMPLATE } from './prepared.ts';

/** Creates a new database with the schema, for this test file alone. Returns its URL. */
export async function createDatabase(): Promise<string> {
  const name = `countersign_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  // The files are copied: the default, page by page, takes a quarter of a second.
  await sql(POSTGRES_URL, `create database ${name} template ${TEMPLATE} strategy file_copy`);
  atEnd(() => sql(POSTGRES_URL, `drop database if exists ${name} with (force)`));
  return new URL(name, POSTGRES_URL).href;
}

const pools = new Map<string, pg.Pool>();

function poolOf(databaseUrl: string): pg.Pool {
  const pool = pools.get(databaseUrl) ?? new pg.Pool({ connectionString: databaseUrl, max: 4 });
  if (!pools.has(databaseUrl)) {
    // Tests end connections, and drop databases.
    pool.on('error', () => {});
    pools.set(databaseUrl, pool);
    atFileEnd(() => {
      pools.delete(databaseUrl);
      return pool.end();
    });
  }
  return pool;
}

/** Runs one statement, or several without values, on a database that tests made. */
export async function sql<Row extends pg.QueryResultRow>(
  databaseUrl: string,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  return (await poolOf(databaseUrl).query<Row>(text, values)).rows;
}
