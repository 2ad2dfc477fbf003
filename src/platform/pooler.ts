import pg from 'pg';
import { errorFields, type Log } from './log.ts';

/** A limit (ms) that nobody has set for anything else: if the server shows it, it is ours. */
const PROBE_MS = 27_182;
const RETRY_MS = 1000;

/**
 * Finds out whether a pooler such as PgBouncer stands in front of the database. Its sessions belong to
 * many clients: what one sets for a session is refused, or lost, or comes to hold for others.
 */
export class Pooler {
  readonly #log: Log;
  readonly #timeoutMs: number;
  readonly #found: (isPooler: boolean) => void;
  #url = '';
  #retry: NodeJS.Timeout | undefined;

  /** Calls `found` whenever a look ends with an answer. A look has `timeoutMs`. */
  constructor(log: Log, timeoutMs: number, found: (isPooler: boolean) => void) {
    this.#log = log;
    this.#timeoutMs = timeoutMs;
    this.#found = found;
  }

  /** Looks at this URL; if the database does not answer, again every second. Never throws. */
  async look(url: string): Promise<void> {
    this.stop();
    this.#url = url;
    const isPooler = await this.#ask(url).catch((error) => {
      this.#log.debug({ component: 'database', ...errorFields(error) }, 'no answer yet');
    });
    if (this.#url !== url) return;
    if (isPooler === undefined) this.#retry = setTimeout(() => this.look(url), RETRY_MS).unref();
    else this.#conclude(isPooler);
  }

  stop(): void {
    this.#url = '';
    clearTimeout(this.#retry);
  }

  async #ask(url: string): Promise<boolean> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'countersign',
      connectionTimeoutMillis: this.#timeoutMs,
      query_timeout: this.#timeoutMs,
      statement_timeout: PROBE_MS,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      const { rows } = await client.query(`select current_setting('statement_timeout') as is`);
      return !String(rows[0]?.is).startsWith(String(PROBE_MS));
    } catch (error) {
      if (refusesSettings(error)) return true;
      throw error;
    } finally {
      void client.end().catch(() => {});
    }
  }

  #conclude(isPooler: boolean): void {
    this.#found(isPooler);
    if (!isPooler) return;
    this.#log.info(
      { component: 'database' },
      'a pooler is in front of the database: limits are set in each transaction, and statements are not prepared',
    );
  }
}

/** PgBouncer's answer to a connection that comes with settings of its own. */
function refusesSettings(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === '08P01' && /startup parameter/i.test(String(message));
}
