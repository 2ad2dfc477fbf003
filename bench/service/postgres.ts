import { spawnSync } from 'node:child_process';
import pg from 'pg';
import { postgres } from '../../test/servers.ts';
import type { RowOptions } from '../report/row.ts';
import type { Cleanups } from './cleanups.ts';
import { type RunningService, startService } from './service.ts';

/** The master key of the services that are measured, version 1. */
export const MASTER_KEY = Buffer.alloc(32, 7);

export type PostgresService = RunningService & { databaseUrl: string };

type ReplicaOptions = Partial<Pick<RowOptions, 'profileDirectory'>> & {
  env?: Readonly<Record<string, string>>;
  nodeArgs?: readonly string[];
};

/** The service on a PostgreSQL server as the tests have it, without limits and proofs of addresses. */
export async function startOnPostgres(
  cleanups: Cleanups,
  options: ReplicaOptions,
): Promise<PostgresService> {
  return startReplica(cleanups, await startDatabase(cleanups), options);
}

/** A PostgreSQL server as the tests have it, with the schema. Gives the database's URL. */
export async function startDatabase(cleanups: Cleanups): Promise<string> {
  const url = await startServer(cleanups);
  migrate(url);
  return url;
}

/** A PostgreSQL server as the tests have it. Gives the URL of its first database. */
export async function startServer(cleanups: Cleanups): Promise<string> {
  const server = await postgres({ fsync: 'on' });
  cleanups.add(() => server.stop());
  return server.url;
}

/** A database of its own on a server, with the schema. Gives its URL. */
export async function createDatabase(
  cleanups: Cleanups,
  serverUrl: string,
  name: string,
): Promise<string> {
  const unique = `countersign_bench_${process.pid}_${name}`;
  await runSql(serverUrl, `create database ${unique}`);
  cleanups.add(() => runSql(serverUrl, `drop database ${unique} with (force)`));
  const url = new URL(serverUrl);
  url.pathname = `/${unique}`;
  migrate(url.href);
  return url.href;
}

/** One more service on a database that has the schema. */
export async function startReplica(
  cleanups: Cleanups,
  databaseUrl: string,
  { env, ...options }: ReplicaOptions,
): Promise<PostgresService> {
  const service = await startService(cleanups, {
    dataDir: cleanups.directory(),
    ...options,
    env: {
      ...databaseEnvironment(databaseUrl),
      COUNTERSIGN_RATE_LIMITS: 'off',
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      ...env,
    },
  });
  return { ...service, databaseUrl };
}

/** Runs one statement, and gives its rows. */
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
  const { status, stderr } = spawnSync(process.execPath, ['src/main.ts', 'migrate'], {
    env: { PATH: process.env['PATH'], ...databaseEnvironment(databaseUrl) },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the migrations failed:\n${stderr}`);
}

function databaseEnvironment(databaseUrl: string): Record<string, string> {
  return { DATABASE_URL: databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY.toString('base64') };
}
