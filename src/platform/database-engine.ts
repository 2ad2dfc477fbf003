import { join } from 'node:path';
import type { MigrationObject, Options } from '@mikro-orm/core';
import type { Log } from './log.ts';
import type { Tracer } from './tracer.ts';

export type DatabaseOptions = {
  /** Undefined for the embedded database in `dataDir`. */
  url: string | undefined;
  dataDir: string;
  minFreeBytes: number;
  entities: NonNullable<Options['entities']>;
  migrations: MigrationObject[];
  poolMax: number;
  acquireTimeoutMs: number;
  /** 0 for no limit: migrations have none. */
  statementTimeoutMs: number;
  idleTimeoutMs: number;
  log: Log;
  /** By default nothing is recorded. */
  tracer?: Tracer;
};

/** Where the files of the embedded database are. */
export function databaseDirectory(dataDir: string): string {
  return join(dataDir, 'postgres');
}

/** A pool of connections, and how many callers wait for one. */
export type PoolState = { pool: string; max: number; idle: number; busy: number; waiting: number };

/** A kind of database: the ORM's options for it, and the operations that the ORM does not have. */
export type Engine = {
  kind: 'postgresql' | 'embedded';
  options: Partial<Options>;
  /** Resolves when it is known how to use the database, or the database does not answer. */
  opened(): Promise<void>;
  /** The SQL that sets the limits of a transaction, if connections can't have limits (behind a pooler). */
  transactionLimits(): string | undefined;
  /** New connections use this URL from now on; open ones are kept until they are idle. */
  setUrl(url: string): void;
  /** Runs one SQL statement, or several without parameters, outside any transaction. */
  script(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }>;
  /** The connections at this moment; none if there is nothing to connect to. */
  pools(): PoolState[];
  release(): Promise<void>;
};
