import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import pg from 'pg';
import type { DatabaseOptions, Engine, PoolState } from './database-engine.ts';
import { errorFields, type Log } from './log.ts';
import { Pooler } from './pooler.ts';

const BACKGROUND_POOL_MAX = 2;
const BACKGROUND_TIMEOUT_MS = 30_000;
/** A connection for each table that is followed: none waits for the look at another. */
const LOOKING_POOL_MAX = 3;

/** Opens a PostgreSQL database: a pool for calls, and small ones for looks and background work. */
export function openPostgres(options: DatabaseOptions, url: string): Engine {
  /** Each with its name, and the limit (ms) of its statements. */
  const pools = new Map<pg.Pool, { name: string; limitMs: number }>();
  let current = url;
  let isPooled = false;
  const common = {
    application_name: 'countersign',
    connectionTimeoutMillis: options.acquireTimeoutMs,
    idleTimeoutMillis: options.idleTimeoutMs,
    keepAlive: true,
  };
  const adopt = (pool: pg.Pool, name: string, limitMs = options.statementTimeoutMs) => {
    pool.options.connectionString = current;
    pool.on('release', (_error, client) => discardIfBusy(client as unknown as PoolClient));
    pools.set(pool, { name, limitMs });
    limitSessions(pool, isPooled ? 0 : limitMs);
  };
  const background = backgroundPool(common, options.log);
  adopt(background, 'background', BACKGROUND_TIMEOUT_MS);
  const pool = (name: string, max: number) => ({
    ...common,
    ...waiting(options.statementTimeoutMs),
    connectionString: url,
    max,
    onPoolCreated: (created: pg.Pool) => adopt(created, name),
  });
  const pooler = new Pooler(options.log, options.acquireTimeoutMs, (found) => {
    isPooled = found;
    for (const [pool, { limitMs }] of pools) limitSessions(pool, found ? 0 : limitMs);
  });
  const looked = pooler.look(url);
  return {
    kind: 'postgresql',
    options: {
      driver: PostgreSqlDriver,
      dbName: new URL(url).pathname.slice(1) || 'postgres',
      driverOptions: pool('calls', options.poolMax),
      // Not a replica: MikroORM's way to have a second pool, which it uses only where it is named.
      replicas: [{ driverOptions: pool('looks', LOOKING_POOL_MAX) }],
      preferReadReplicas: false,
    },
    opened: () => looked,
    transactionLimits: () => (isPooled ? localLimits(options.statementTimeoutMs) : undefined),
    setUrl(next) {
      if (next === current) return;
      current = next;
      for (const pool of pools.keys()) pool.options.connectionString = next;
      void pooler.look(next);
    },
    async script(sql, parameters) {
      const result: pg.QueryResult | pg.QueryResult[] = await background.query(sql, parameters);
      return { rows: [result].flat().flatMap((each) => each.rows) };
    },
    pools: () => [...pools].map(([each, { name }]) => stateOf(each, name)),
    async release() {
      pooler.stop();
      await background.end();
    },
  };
}

function stateOf(pool: pg.Pool, name: string): PoolState {
  const { idleCount: idle, totalCount, waitingCount: waiting, options } = pool;
  return { pool: name, max: options.max ?? 0, idle, busy: totalCount - idle, waiting };
}

function backgroundPool(common: pg.PoolConfig, log: Log): pg.Pool {
  const pool = new pg.Pool({
    ...common,
    ...waiting(BACKGROUND_TIMEOUT_MS),
    max: BACKGROUND_POOL_MAX,
    connectionTimeoutMillis: BACKGROUND_TIMEOUT_MS,
  });
  pool.on('error', (error) => {
    log.warn({ component: 'database', ...errorFields(error) }, 'connection lost');
  });
  return pool;
}

/** The part of a client that the types of `pg` do not declare. */
type PoolClient = { readyForQuery: boolean; connection: { stream: { destroy(): void } } };

/** The client stops waiting a little later than the server ends a statement. */
function waiting(limitMs: number) {
  return limitMs === 0 ? {} : { query_timeout: limitMs + 200 };
}

/** What the server does for us after `limitMs`, as settings. */
function serverLimits(limitMs: number) {
  return { statement_timeout: limitMs, idle_in_transaction_session_timeout: limitMs * 2 };
}

/** New connections of a pool limit their statements from the start; 0 for those that must not. */
function limitSessions(pool: pg.Pool, limitMs: number): void {
  Object.assign(pool.options, serverLimits(limitMs));
}

/** The same limits for one transaction. */
function localLimits(limitMs: number): string | undefined {
  if (limitMs === 0) return;
  const settings = Object.entries(serverLimits(limitMs));
  return settings.map(([name, ms]) => `set local ${name} = ${ms}`).join('; ');
}

/**
 * Closes the connection of a client whose query is still running. `pg` returns a client to the pool
 * when its query times out, and the next user would wait for that query: forever, if the server is
 * gone.
 */
function discardIfBusy(client: PoolClient): void {
  if (!client.readyForQuery) client.connection.stream.destroy();
}
