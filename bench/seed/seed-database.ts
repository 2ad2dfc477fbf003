import pg from 'pg';
import { Progress } from '../report/progress.ts';
import {
  type Batch,
  END_OF_SEEDED_IDS,
  insertAccounts,
  insertSessions,
  START_OF_SEEDED_IDS,
  seededNumber,
} from './seeded-rows.ts';

const ACCOUNTS_PER_BATCH = 10_000;
const SESSIONS_PER_BATCH = 50_000;

export type Seeds = {
  accounts: number;
  sessions: number;
  /** The hash of everyone's password: a PHC string. */
  passwordHash: string;
  /** The hash of every session's refresh token: 32 bytes. */
  refreshHash: Uint8Array;
};

/**
 * Fills a database that has the schema with made-up accounts and their sessions. It keeps the rows that
 * are seeded already, and continues after them; each step is one statement. Returns false if `signal`
 * stopped it.
 *
 * Throws if the database holds rows that were not seeded.
 */
export async function seedDatabase(
  databaseUrl: string,
  seeds: Seeds,
  signal?: AbortSignal,
): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await refuseOthers(client);
    // A step that is lost in a crash is repeated by the next run.
    await client.query('set synchronous_commit = off');
    const accounts = {
      table: 'accounts',
      count: seeds.accounts,
      batchSize: ACCOUNTS_PER_BATCH,
      insert: (batch: Batch) => insertAccounts(client, batch, seeds.passwordHash),
    } as const;
    await fill(client, accounts, signal);
    const owners = await seeded(client, 'accounts');
    const sessions = {
      table: 'sessions',
      count: seeds.sessions,
      batchSize: SESSIONS_PER_BATCH,
      insert: (batch: Batch) => insertSessions(client, batch, owners, seeds.refreshHash),
    } as const;
    await fill(client, sessions, signal);
    if (signal?.aborted) return false;
    await client.query('vacuum (analyze) accounts, password_credentials, sessions');
    return true;
  } finally {
    await client.end();
  }
}

type Table = 'accounts' | 'sessions';

async function refuseOthers(client: pg.Client): Promise<void> {
  const { rows } = await client.query(`select to_regclass('accounts') as found`);
  if (rows[0]?.found === null) {
    throw new Error('the database has no schema: run `npm run migrate` on it first');
  }
  for (const table of ['accounts', 'sessions'] satisfies Table[]) {
    const others = await client.query(`select 1 from ${table} where id < $1 or id >= $2 limit 1`, [
      START_OF_SEEDED_IDS,
      END_OF_SEEDED_IDS,
    ]);
    if (others.rows.length > 0) {
      throw new Error(`the database holds ${table} that were not seeded; use an empty one`);
    }
  }
}

/** Returns how many rows of a table have been seeded: they are numbered without gaps. */
async function seeded(client: pg.Client, table: Table): Promise<number> {
  const { rows } = await client.query<{ id: string }>(
    `select id from ${table} where id < $1 order by id desc limit 1`,
    [END_OF_SEEDED_IDS],
  );
  return rows[0] ? seededNumber(rows[0].id) : 0;
}

type Filling = {
  table: Table;
  /** How many rows the table is to have. */
  count: number;
  batchSize: number;
  insert(batch: Batch): Promise<void>;
};

async function fill(
  client: pg.Client,
  { table, count, batchSize, insert }: Filling,
  signal: AbortSignal | undefined,
): Promise<void> {
  let done = await seeded(client, table);
  const progress = new Progress(table, Math.max(count, done));
  progress.at(done);
  while (done < count && !signal?.aborted) {
    const to = Math.min(count, done + batchSize);
    await insert({ from: done + 1, to });
    done = to;
    progress.at(done);
  }
  progress.end();
}
