import pg from 'pg';
import { ANSWER_MS } from './finding.ts';

/** Few enough to find room when the service has taken most of it. */
const CONNECTIONS = 2;
/** A statement ends before the check that waits for it gives up. */
const STATEMENT_MS = 2000;

/** The parts of a client that the types of `pg` do not declare. */
type Client = pg.PoolClient & {
  processID: number | null;
  connection: { stream: { destroy(): void } };
};

/** A PostgreSQL database as `doctor` sees it: past the service's own pools, and never writing. */
export class Database {
  readonly #pool: pg.Pool;
  readonly #clients = new Set<Client>();

  constructor(url: string) {
    this.#pool = new pg.Pool({
      connectionString: url,
      // Nothing that a pooler may refuse when a connection begins.
      application_name: 'countersign doctor',
      max: CONNECTIONS,
      connectionTimeoutMillis: ANSWER_MS,
    });
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => this.#clients.add(client as Client));
  }

  /** Whether there is a connection to be had. Throws what `pg` throws if not. */
  async connect(): Promise<void> {
    (await this.#pool.connect()).release();
  }

  /** Runs a statement in a transaction of its own that can't write. */
  async ask<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return this.#within(async (client) => (await client.query<Row>(sql, values)).rows);
  }

  /** Whether what answers is the server itself: a pooler tells clients process ids of its own. */
  async isDirect(): Promise<boolean> {
    return this.#within(async (client) => {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      return rows[0]?.pid === client.processID;
    });
  }

  /** Ends all connections, whether or not the server still answers. */
  close(): void {
    void this.#pool.end().catch(() => {});
    for (const { connection } of this.#clients) connection.stream.destroy();
  }

  async #within<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = (await this.#pool.connect()) as Client;
    try {
      await client.query(`begin read only; set local statement_timeout = ${STATEMENT_MS}`);
      return await work(client);
    } finally {
      await client.query('rollback').catch(() => {});
      client.release();
    }
  }
}
