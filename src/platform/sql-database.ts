import { MikroORM, type Options } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import type { DatabaseOptions, Engine, PoolState } from './database-engine.ts';
import { databaseFailure } from './database-failure.ts';
import { openEmbedded } from './embedded-database.ts';
import { lock, makeLocks } from './locks.ts';
import { openPostgres } from './postgres-database.ts';
import { type EntityManager, query } from './sql.ts';
import { withinTimeLimit } from './time-limit.ts';
import { noTracer, type Tracer } from './tracer.ts';

/**
 * No transaction takes longer (ms), neither a replica's nor a command's, whatever is configured. Followers
 * of tables rely on it: they look back further than that (src/platform/followed-table.ts).
 */
export const MAX_TRANSACTION_MS = 30_000;

const TRANSACTION = spanOf('transaction');
const STATEMENT = spanOf('statement');

/** The database. Calls use `read` and `transaction`, followers of tables `look`, background jobs `script`. */
export class SqlDatabase {
  readonly kind: Engine['kind'];
  readonly #orm: MikroORM;
  readonly #engine: Engine;
  readonly #tracer: Tracer;
  /**
   * How long (ms) a transaction or a statement may take before its caller gets an error. 0: no limit.
   */
  readonly limitMs: number;
  #migrated = false;

  private constructor(
    orm: MikroORM,
    engine: Engine,
    { tracer = noTracer, statementTimeoutMs: limitMs }: DatabaseOptions,
  ) {
    this.#orm = orm;
    this.#engine = engine;
    this.#tracer = tracer;
    this.kind = engine.kind;
    this.limitMs = limitMs;
  }

  static async open(given: DatabaseOptions): Promise<SqlDatabase> {
    const statementTimeoutMs = Math.min(given.statementTimeoutMs, MAX_TRANSACTION_MS);
    const options = { ...given, statementTimeoutMs };
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
      // Every call gets a fork of its own; the global entity manager is never used.
      allowGlobalContext: false,
      // Only migrations create triggers and functions.
      schemaGenerator: { ignoreSchema: ['jobs'], ignoreTriggers: true, ignoreRoutines: true },
      ensureDatabase: false,
      debug: false,
      logger: (message: string) => options.log.debug({ component: 'orm' }, message),
    } as Options);
    await engine.opened();
    return new SqlDatabase(orm, engine, options);
  }

  /**
   * Runs `work` in one transaction, which commits if it returns and rolls back if it throws. After the
   * commit it runs `committed`, even if the caller has stopped waiting by then.
   *
   * Throws `unavailable` if the database does not answer within the statement timeout, and the reason
   * of `signal` if it fires (the caller is gone, or its deadline has passed). A transaction that has
   * not committed by then is rolled back.
   */
  transaction<T>(
    work: (em: EntityManager) => Promise<T>,
    { signal, committed }: { signal?: AbortSignal; committed?: (result: T) => void } = {},
  ): Promise<T> {
    const run = async (expired: AbortSignal) => {
      const result = await this.#fork().transactional(async (em) => {
        await this.#limit(em as EntityManager);
        const done = await work(em as EntityManager);
        expired.throwIfAborted();
        return done;
      });
      committed?.(result);
      return result;
    };
    return this.#tracer.part(TRANSACTION, () => this.#withinLimit(signal, run));
  }

  /** Runs `work` without a transaction, for single statements. Has the time limit of `transaction`. */
  read<T>(work: (em: EntityManager) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const run = () => this.#alone('write', work);
    return this.#tracer.part(STATEMENT, () => this.#withinLimit(signal, run));
  }

  /**
   * The same for the looks that token checks rely on. They have separate connections, so that no number of
   * calls keeps this replica from hearing of revocations, or is mistaken for an outage.
   */
  look<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    return this.#withinLimit(undefined, () => this.#alone('read', work));
  }

  /** Runs single statements: in a transaction of their own if only transactions can have limits. */
  #alone<T>(pool: 'read' | 'write', work: (em: EntityManager) => Promise<T>): Promise<T> {
    const em = this.#fork();
    const isLimited = this.#engine.transactionLimits() === undefined;
    if (isLimited && pool === 'write') return work(em);
    const client = em.getConnection(pool).getClient();
    if (isLimited) {
      em.setTransactionContext(client);
      return work(em);
    }
    return client.transaction().execute(async (tx) => {
      em.setTransactionContext(tx);
      await this.#limit(em);
      return work(em);
    });
  }

  async #limit(em: EntityManager): Promise<void> {
    const limits = this.#engine.transactionLimits();
    if (limits !== undefined) await query(em, limits);
  }

  /**
   * Runs SQL of background work on separate connections, outside any transaction, without the limit.
   */
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

  async #withinLimit<T>(
    signal: AbortSignal | undefined,
    work: (expired: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await withinTimeLimit(this.limitMs, signal, work);
    } catch (error) {
      throw error === signal?.reason ? error : databaseFailure(error, this.kind);
    }
  }

  /**
   * Applies the missing migrations, and then `others`, one process at a time. Returns the names of the
   * former.
   */
  async migrate(others: () => Promise<void>): Promise<string[]> {
    const apply = async () => {
      const applied = await this.#orm.migrator.up();
      await others();
      return applied.map((migration) => migration.name);
    };
    if (this.kind === 'embedded') return apply();
    await makeLocks((sql) => this.script(sql));
    return this.transaction(async (em) => {
      await lock(em, 'migrations');
      return apply();
    });
  }

  /** Returns the names of the migrations that the database has not had yet. */
  async pendingMigrations(): Promise<string[]> {
    try {
      if (this.#migrated) return [];
      const pending = await this.#orm.migrator.getPending();
      // Migrations are never undone.
      this.#migrated = pending.length === 0;
      return pending.map((migration) => migration.name);
    } catch (error) {
      throw databaseFailure(error, this.kind);
    }
  }

  /** Throws `unavailable` if the database does not answer, whether or not calls find a connection. */
  async ping(): Promise<undefined> {
    await this.look((em) => query(em, 'select 1'));
  }

  /** The connections to the database at this moment. */
  pools(): PoolState[] {
    return this.#engine.pools();
  }

  setUrl(url: string): void {
    this.#engine.setUrl(url);
  }

  /** Returns the SQL that would make the schema match the entities; empty if the migrations do. */
  async schemaDifference(): Promise<string> {
    return this.#orm.schema.getUpdateSchemaSQL({ wrap: false, safe: false });
  }

  async close(): Promise<void> {
    await this.#orm.close(true);
    await this.#engine.release();
  }
}

function spanOf(name: string) {
  return { name, kind: 'client', attributes: { 'db.system.name': 'postgresql' } } as const;
}
