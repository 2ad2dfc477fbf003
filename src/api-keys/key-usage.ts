import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { apiKeysIn, type KeyUse } from './api-key.repository.ts';
import type { KnownKey } from './known-key.ts';

const FLUSH_MS = 1000;
const COARSE_MS = 60_000;
const BATCH = 1000;
/** With the database away, uses beyond this are not noted: the next minute's will be. */
const LIMIT = 20_000;

/** Notes when keys were last used: to the minute, and in batches off the path of whoever uses them. */
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

  /** `ipAddress`: empty where it is not known. */
  note(key: KnownKey, nowMs: number, ipAddress: string): void {
    if (nowMs - key.notedAtMs < COARSE_MS || this.#waiting.size >= LIMIT) return;
    key.notedAtMs = nowMs;
    const { id } = key.row;
    this.#waiting.set(id, { id, at: new Date(nowMs), ipAddress });
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is waiting. Never throws: what can't be written is left to the next use. */
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
        await this.#database.read((em) => apiKeysIn(em).noteUses(batch));
      } catch (error) {
        this.#log.debug({ component: 'api_keys', ...errorFields(error) }, 'uses are not noted');
      }
    }
  }
}
