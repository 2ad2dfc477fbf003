import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { apiKeyChecksIn, type KeyUse } from './api-key-check.repository.ts';
import type { KnownKey } from './known-key.ts';

const FLUSH_MS = 1000;
const COARSE_MS = 60_000;
const BATCH = 1000;
/** While the database is away, uses beyond this are not noted; those of the next minute will be. */
const LIMIT = 20_000;

/** Notes when keys were last used: to the minute, in batches, and without delaying the calls. */
export class KeyUsage {
  readonly #database: Pick<SqlDatabase, 'read'>;
  readonly #log: Log;
  readonly #waiting = new Map<string, KeyUse>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(database: Pick<SqlDatabase, 'read'>, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Notes a use. `ipAddress` is empty if it is not known. */
  note(key: KnownKey, nowMs: number, ipAddress: string): void {
    if (nowMs - key.notedAtMs < COARSE_MS || this.#waiting.size >= LIMIT) return;
    key.notedAtMs = nowMs;
    const { id } = key.row;
    this.#waiting.set(id, { id, at: new Date(nowMs), ipAddress });
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is waiting. Never throws: what can't be written is noted at the next use. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting.values()].slice(0, BATCH);
      for (const { id } of batch) this.#waiting.delete(id);
      try {
        await this.#database.read((em) => apiKeyChecksIn(em).noteUses(batch));
      } catch (error) {
        this.#log.debug({ component: 'api_keys', ...errorFields(error) }, 'uses are not noted');
      }
    }
  }
}
