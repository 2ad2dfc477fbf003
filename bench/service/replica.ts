import type { RowOptions } from '../report/row.ts';
import type { Cleanups } from './cleanups.ts';
import { databaseEnvironment, startDatabase } from './databases.ts';
import { type RunningService, startService } from './service.ts';

/** A running service and the URL of its PostgreSQL database. */
export type PostgresService = RunningService & { databaseUrl: string };

type ReplicaOptions = Partial<Pick<RowOptions, 'profileDirectory'>> & {
  env?: Readonly<Record<string, string>>;
  nodeArgs?: readonly string[];
};

/**
 * Starts a PostgreSQL server and the service on it, without rate limits and verification of addresses.
 */
export async function startOnPostgres(
  cleanups: Cleanups,
  options: ReplicaOptions,
): Promise<PostgresService> {
  return startReplica(cleanups, await startDatabase(cleanups), options);
}

/** Starts a service on a database that has the schema. */
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
