import type { Config } from '../config.ts';
import { createLog } from '../platform/log.ts';
import { query } from '../platform/sql.ts';
import { openDatabase } from '../schema.ts';
import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';
import { postgresqlFailure } from './postgresql-failure.ts';

export const POSTGRESQL = {
  'postgresql.ok': { state: 'ok', says: 'PostgreSQL {version} answers at {host}' },
  'postgresql.standby': {
    state: 'failure',
    says: 'the server at {host} is a standby, which takes no writes',
    todo: 'name the primary in DATABASE_URL, or what leads to it after a fail-over',
  },
  'postgresql.read_only': {
    state: 'failure',
    says: 'default_transaction_read_only is on: nothing can be written',
    todo: 'set it to off for this role and database, unless someone means it',
  },
  'postgresql.unsafe': {
    state: 'warning',
    says: '{setting} is off: a loss of power can damage the database',
    todo: 'turn it on, unless everything in it can be lost',
  },
  'pooler.none': { state: 'ok', says: 'no pooler stands in between' },
  'pooler.found': {
    state: 'ok',
    says: 'a pooler stands in between: its limits on connections count too',
  },
  'statement_timeout.ok': {
    state: 'ok',
    says: 'statements of calls are ended after {ours} by the server',
  },
  'statement_timeout.missing': {
    state: 'warning',
    says: 'the server ends no statement of a call after COUNTERSIGN_DB_STATEMENT_TIMEOUT: its callers go, and it works on',
    todo: 'let the pooler pass statement_timeout on, or set it for the role: `alter role {role} set statement_timeout`',
  },
  'statement_timeout.migrations': {
    state: 'warning',
    says: 'the role {role} has a statement_timeout of {theirs}, which ends long migrations',
    todo: 'run `countersign migrate` as a role without one: the service sets its own',
  },
} as const satisfies Sentences;

const say = findings(POSTGRESQL);

type Server = {
  version: string;
  standby: boolean;
  readOnly: string;
  fsync: string;
  fullPageWrites: string;
};

/** What the server is. */
export async function checkPostgresql(database: Database, url: string): Promise<Finding[]> {
  const isDirect = await database.isDirect();
  const startedAt = performance.now();
  await database.ask('select 1');
  // The statement, and the beginning and end of its transaction.
  const ms = (performance.now() - startedAt) / 3;
  const [server] = await database.ask<Server>(
    `select current_setting('server_version') as version, pg_is_in_recovery() as standby,
       current_setting('default_transaction_read_only') as "readOnly",
       current_setting('fsync') as fsync, current_setting('full_page_writes') as "fullPageWrites"`,
  );
  const { version = '', standby, readOnly } = server ?? {};
  const { host } = new URL(url);
  const unsafe = (
    [
      ['fsync', server?.fsync],
      ['full_page_writes', server?.fullPageWrites],
    ] as const
  )
    .filter(([, value]) => value === 'off')
    .map(([setting]) => say('postgresql.unsafe', { setting }));
  return [
    standby ? say('postgresql.standby', { host }, ms) : say('postgresql.ok', { version, host }, ms),
    ...(readOnly === 'on' && !standby ? [say('postgresql.read_only')] : []),
    ...unsafe,
    isDirect ? say('pooler.none') : say('pooler.found'),
  ];
}

/**
 * Connects as the service does, with the limits that it sets: what only a pooler, or a server that is
 * nearly full, refuses shows here.
 */
export async function checkStatementTimeout(
  database: Database,
  config: Config,
  url: string,
): Promise<Finding[]> {
  const role = decodeURIComponent(new URL(url).username);
  const [theirs] = await database.ask<{ ms: number; text: string }>(
    `select setting::int as ms, reset_val as text from pg_settings where name = 'statement_timeout'`,
  );
  const sql = await openDatabase(config, createLog('silent'));
  try {
    const [ours] = await sql.transaction((em) =>
      query<{ text: string }>(em, `select current_setting('statement_timeout') as text`),
    );
    const isLimited = sql.limitMs > 0 && ours?.text !== '0';
    const own = Number(theirs?.text ?? 0);
    return [
      isLimited
        ? say('statement_timeout.ok', { ours: ours?.text ?? '' })
        : say('statement_timeout.missing', { role }),
      ...(own > 0 ? [say('statement_timeout.migrations', { role, theirs: `${own} ms` })] : []),
    ];
  } catch (error) {
    return [postgresqlFailure(error, url)];
  } finally {
    void sql.close().catch(() => {});
  }
}
