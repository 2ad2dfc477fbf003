import { type MigrationObject, MikroORM, type Options } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { CompiledQuery } from 'kysely';
import pg from 'pg';
import { databaseFailure } from './database-failure.ts';
import { openEmbedded } from './embedded-database.ts';
import { unavailable } from './failure.ts';
import { errorFields, type Log } from './log.ts';

export type EntityManager = SqlEntityManager;

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

/** What the types of `pg` leave out of its clients. */
type PoolClient = { readyForQuery: boolean; connection: { stream: { destroy(): void } } };

/** The one way to the database: everything that is asked of it goes through `read` or `transaction`. */
export class Database {
  readonly kind: Engine['kind'];
  readonly #orm: MikroORM;
  readonly #engine: Engine;
  /** How long a transaction or a statement may take before its caller is told (ms). 0: for ever. */
  readonly limitMs: number;
  #migrated = false;

  private constructor(orm: MikroORM, engine: Engine, limitMs: number) {
    this.#orm = orm;
    this.#engine = engine;
    this.kind = engine.kind;
    this.limitMs = limitMs;
  }

  static async open(options: DatabaseOptions): Promise<Database> {
    const engine =
      options.url === undefined ? await openEmbedded(options) : openPostgres(options, options.url);
    const orm = await MikroORM.init({
      ...engine.options,
      entities: options.entities,
      extensions: [Migrator],
      migrations: {
        migrationsList: options.migrations,
        tableName: 'schema_migrations',
        snapshot: false,
        silent: true,
      },
      // Repositories are made per call from a fork; the global one is never used.
      allowGlobalContext: false,
      // Migrations alone make triggers.
      schemaGenerator: { ignoreSchema: ['jobs'], ignoreTriggers: true },
      ensureDatabase: false,
      debug: false,
      logger: (message: string) => options.log.debug({ component: 'orm' }, message),
    } as Options);
    return new Database(orm, engine, options.statementTimeoutMs);
  }

  /**
   * Runs `work` in one transaction, which commits when it returns and rolls back when it throws.
   *
   * Fails with `unavailable` when the database does not answer within the statement timeout, or when
   * `signal` (the caller's deadline or departure) fires; what was not committed by then is rolled
   * back. Whoever must leave a trace of a refusal returns the refusal and throws it afterwards.
   */
  transaction<T>(work: (em: EntityManager) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#bounded(signal, (expired) =>
      this.#fork().transactional(async (em) => {
        const result = await work(em as EntityManager);
        expired.throwIfAborted();
        return result;
      }),
    );
  }

  /** Runs `work` without a transaction: for single statements. Bounded like `transaction`. */
  read<T>(work: (em: EntityManager) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#bounded(signal, () => work(this.#fork()));
  }

  /** Background work that takes its time: SQL on connections of its own, outside any transaction. */
  async script(sql: string, parameters: unknown[] = []): Promise<{ rows: unknown[] }> {
    try {
      return await this.#engine.script(sql, parameters);
    } catch (error) {
      throw databaseFailure(error, this.kind);
    }
  }

  #fork(): EntityManager {
    return this.#orm.em.fork() as unknown as EntityManager;
  }

  /**
   * A frozen database must not freeze its callers: the answer is given when the time is up, and the
   * work left behind ends by its own timeouts.
   */
  async #bounded<T>(
    signal: AbortSignal | undefined,
    work: (expired: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const expiry = new AbortController();
    const { promise: expired, reject } = Promise.withResolvers<never>();
    const expire = (reason: unknown) => {
      expiry.abort(reason);
      reject(reason);
    };
    const onAbort = () => expire(signal?.reason);
    const timer =
      this.limitMs > 0
        ? setTimeout(() => expire(unavailable('the database')), this.limitMs)
        : undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const running = work(expiry.signal);
      running.catch(() => {});
      return await Promise.race([running, expired]);
    } catch (error) {
      throw error === signal?.reason ? error : databaseFailure(error, this.kind);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Applies the migrations that are missing, one replica at a time. Gives their names. */
  async migrate(): Promise<string[]> {
    const apply = async () => (await this.#orm.migrator.up()).map((migration) => migration.name);
    if (this.kind === 'embedded') return apply();
    return this.transaction(async (em) => {
      await query(em, 'select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      return apply();
    });
  }

  /** The names of migrations that this program knows and the database has not had. */
  async pendingMigrations(): Promise<string[]> {
    try {
      if (this.#migrated) return [];
      const pending = await this.#orm.migrator.getPending();
      // The schema only moves forward.
      this.#migrated = pending.length === 0;
      return pending.map((migration) => migration.name);
    } catch (error) {
      throw databaseFailure(error, this.kind);
    }
  }

  /** Throws `unavailable` where the database does not answer. */
  async ping(): Promise<undefined> {
    await this.read((em) => query(em, 'select 1'));
  }

  setUrl(url: string): void {
    this.#engine.setUrl(url);
  }

  /** The SQL that would make the schema what the entities say: empty when the migrations agree. */
  async schemaDifference(): Promise<string> {
    return this.#orm.schema.getUpdateSchemaSQL({ wrap: false, safe: false });
  }

  async close(): Promise<void> {
    await this.#orm.close(true);
    await this.#engine.release();
  }
}

// Any constant will do, as long as every version of the program uses the same one.
const MIGRATION_LOCK = 727_274_001;

const BACKGROUND_POOL_MAX = 2;
const BACKGROUND_TIMEOUT_MS = 30_000;

function openPostgres(options: DatabaseOptions, url: string): Engine {
  const pools: pg.Pool[] = [];
  let current = url;
  const common = {
    application_name: 'countersign',
    connectionTimeoutMillis: options.acquireTimeoutMs,
    idleTimeoutMillis: options.idleTimeoutMs,
    keepAlive: true,
  };
  const adopt = (pool: pg.Pool) => {
    pool.options.connectionString = current;
    pool.on('release', (_error, client) => discardIfBusy(client as unknown as PoolClient));
    pools.push(pool);
  };
  const background = new pg.Pool({
    ...common,
    ...timeouts(BACKGROUND_TIMEOUT_MS),
    max: BACKGROUND_POOL_MAX,
    connectionTimeoutMillis: BACKGROUND_TIMEOUT_MS,
  });
  background.on('error', (error) => {
    options.log.warn({ component: 'database', ...errorFields(error) }, 'connection lost');
  });
  adopt(background);
  return {
    kind: 'postgresql',
    options: {
      driver: PostgreSqlDriver,
      dbName: new URL(url).pathname.slice(1) || 'postgres',
      driverOptions: {
        ...common,
        ...timeouts(options.statementTimeoutMs),
        connectionString: url,
        max: options.poolMax,
        onPoolCreated: adopt,
      },
    },
    setUrl(next) {
      current = next;
      for (const pool of pools) pool.options.connectionString = next;
    },
    async script(sql, parameters) {
      const result: pg.QueryResult | pg.QueryResult[] = await background.query(sql, parameters);
      return { rows: [result].flat().flatMap((each) => each.rows) };
    },
    release: () => background.end(),
  };
}

/** The server ends a statement after `limitMs`; the client stops waiting a little later. */
function timeouts(limitMs: number) {
  if (limitMs === 0) return {};
  return {
    statement_timeout: limitMs,
    idle_in_transaction_session_timeout: limitMs * 2,
    query_timeout: limitMs + 200,
  };
}

/**
 * `pg` gives a client back to the pool although its query timed out and is still under way; the
 * next user would wait behind it. On a connection whose peer is gone that would be for ever.
 */
function discardIfBusy(client: PoolClient): void {
  if (!client.readyForQuery) client.connection.stream.destroy();
}

/** A `timestamptz` in a row that `query` gave, to the millisecond: the ORM reads them as text. */
export function timestamp(text: string): Date {
  return new Date(text);
}

/** Runs one SQL statement with `$1` parameters on the manager's connection or transaction. */
export async function query<Row>(
  em: EntityManager,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const result = await em.getKysely().executeQuery(CompiledQuery.raw(sql, [...parameters]));
  return result.rows as Row[];
}
