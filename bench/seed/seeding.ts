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

const ACCOUNTS_AT_ONCE = 10_000;
const SESSIONS_AT_ONCE = 50_000;

export type Seeds = {
  accounts: number;
  sessions: number;
  /** Everybody's: a PHC string. */
  passwordHash: string;
  /** What every session keeps of its refresh token: 32 bytes. */
  refreshHash: Uint8Array;
};

/**
 * Fills a database that has the schema with made-up accounts and their sessions. What is seeded already
 * stays: stopped, or asked for more, it goes on where it was; each step is one statement. Throws where
 * the database holds anybody else. Gives false where `signal` stopped it.
 */
export async function seed(
  databaseUrl: string,
  seeds: Seeds,
  signal?: AbortSignal,
): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await refuseOthers(client);
    // A step that a crash takes back is taken again.
    await client.query('set synchronous_commit = off');
    await fill(client, 'accounts', seeds.accounts, ACCOUNTS_AT_ONCE, signal, (batch) =>
      insertAccounts(client, batch, seeds.passwordHash),
    );
    const owners = await seeded(client, 'accounts');
    await fill(client, 'sessions', seeds.sessions, SESSIONS_AT_ONCE, signal, (batch) =>
      insertSessions(client, batch, owners, seeds.refreshHash),
    );
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
      throw new Error(`the database holds ${table} that were not seeded; it is left as it is`);
    }
  }
}

/** How many rows of a table have been seeded: they are numbered without a gap. */
async function seeded(client: pg.Client, table: Table): Promise<number> {
  const { rows } = await client.query<{ id: string }>(
    `select id from ${table} where id < $1 order by id desc limit 1`,
    [END_OF_SEEDED_IDS],
  );
  return rows[0] ? seededNumber(rows[0].id) : 0;
}

async function fill(
  client: pg.Client,
  table: Table,
  count: number,
  atOnce: number,
  signal: AbortSignal | undefined,
  insert: (batch: Batch) => Promise<void>,
): Promise<void> {
  let done = await seeded(client, table);
  const progress = new Progress(table, Math.max(count, done));
  progress.at(done);
  while (done < count && !signal?.aborted) {
    const to = Math.min(count, done + atOnce);
    await insert({ from: done + 1, to });
    done = to;
    progress.at(done);
  }
  progress.end();
}
