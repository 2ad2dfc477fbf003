import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import pg from 'pg';
import type { DatabaseOptions, Engine } from './database-engine.ts';
import { errorFields, type Log } from './log.ts';

const BACKGROUND_POOL_MAX = 2;
const BACKGROUND_TIMEOUT_MS = 30_000;
/** A connection for each table that is followed: none waits for the look at another. */
const LOOKING_POOL_MAX = 3;

/** Opens a PostgreSQL database: a pool for calls, and small ones for looks and background work. */
export function openPostgres(options: DatabaseOptions, url: string): Engine {
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
  const background = backgroundPool(common, options.log);
  adopt(background);
  const pool = (max: number) => ({
    ...common,
    ...timeouts(options.statementTimeoutMs),
    connectionString: url,
    max,
    onPoolCreated: adopt,
  });
  return {
    kind: 'postgresql',
    options: {
      driver: PostgreSqlDriver,
      dbName: new URL(url).pathname.slice(1) || 'postgres',
      driverOptions: pool(options.poolMax),
      // Not a replica: MikroORM's way to have a second pool, which it uses only where it is named.
      replicas: [{ driverOptions: pool(LOOKING_POOL_MAX) }],
      preferReadReplicas: false,
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

function backgroundPool(common: pg.PoolConfig, log: Log): pg.Pool {
  const pool = new pg.Pool({
    ...common,
    ...timeouts(BACKGROUND_TIMEOUT_MS),
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
 * Closes the connection of a client whose query is still running. `pg` returns a client to the pool
 * when its query times out, and the next user would wait for that query: forever, if the server is
 * gone.
 */
function discardIfBusy(client: PoolClient): void {
  if (!client.readyForQuery) client.connection.stream.destroy();
}
