import type { MigrationObject, Options } from '@mikro-orm/core';
import type { Log } from './log.ts';

export type DatabaseOptions = {
  /** Undefined: the embedded database in `dataDir`. */
  url: string | undefined;
  dataDir: string;
  minFreeBytes: number;
  entities: NonNullable<Options['entities']>;
  migrations: MigrationObject[];
  poolMax: number;
  acquireTimeoutMs: number;
  /** 0: no limit, for migrations. */
  statementTimeoutMs: number;
  idleTimeoutMs: number;
  log: Log;
};

/** How a database is opened: the ORM's options for it, and what to do with it afterwards. */
export type Engine = {
  kind: 'postgresql' | 'embedded';
  options: Partial<Options>;
  /** Connections made from now on use this URL; open ones are kept until they are idle. */
  setUrl(url: string): void;
  /** Runs SQL of one statement, or of several without parameters, outside any transaction. */
  script(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }>;
  release(): Promise<void>;
};
