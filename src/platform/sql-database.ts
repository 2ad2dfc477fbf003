import { MikroORM, type Options } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import type { DatabaseOptions, Engine } from './database-engine.ts';
import { databaseFailure } from './database-failure.ts';
import { openEmbedded } from './embedded-database.ts';
import { unavailable } from './failure.ts';
import { openPostgres } from './postgres-database.ts';
import { type EntityManager, query } from './sql.ts';

/** The one way to the database: everything that is asked of it goes through `read` or `transaction`. */
export class SqlDatabase {
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

  static async open(options: DatabaseOptions): Promise<SqlDatabase> {
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
    return new SqlDatabase(orm, engine, options.statementTimeoutMs);
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
