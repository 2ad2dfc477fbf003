import { spawnSync } from 'node:child_process';
import pg from 'pg';
import { postgres } from '../../test/servers.ts';
import type { Cleanups } from './cleanups.ts';
import { MASTER_KEY } from './keyring.ts';

/** Starts a PostgreSQL server like that of the tests. Returns the URL of a database with the schema. */
export async function startDatabase(cleanups: Cleanups): Promise<string> {
  const url = await startServer(cleanups);
  migrate(url);
  return url;
}

/** Starts a PostgreSQL server like that of the tests. Returns the URL of its first database. */
export async function startServer(cleanups: Cleanups): Promise<string> {
  const server = await postgres({ fsync: 'on' });
  cleanups.add(() => server.stop());
  return server.url;
}

/** Creates another database with the schema on a server. Returns its URL. */
export async function createDatabase(
  cleanups: Cleanups,
  serverUrl: string,
  name: string,
): Promise<string> {
  const url = await emptyDatabase(cleanups, serverUrl, name);
  migrate(url);
  return url;
}

/** Creates an empty database on the server. Returns its URL. */
export async function emptyDatabase(
  cleanups: Cleanups,
  serverUrl: string,
  name: string,
): Promise<string> {
  const unique = `countersign_bench_${process.pid}_${name}`;
  await runSql(serverUrl, `create database ${unique}`);
  cleanups.add(() => runSql(serverUrl, `drop database ${unique} with (force)`));
  const url = new URL(serverUrl);
  url.pathname = `/${unique}`;
  return url.href;
}

/** Runs a statement and returns its rows. */
export async function runSql<Row extends pg.QueryResultRow>(
  databaseUrl: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

function migrate(databaseUrl: string): void {
  const { status, stderr } = spawnSync(process.execPath, ['dist/src/main.js', 'migrate'], {
    env: { PATH: process.env['PATH'], ...databaseEnvironment(databaseUrl) },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the migrations failed:\n${stderr}`);
}

/** Returns the environment variables of a service that uses a database. */
export function databaseEnvironment(databaseUrl: string): Record<string, string> {
  return { DATABASE_URL: databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY.toString('base64') };
}
