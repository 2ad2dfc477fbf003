import type { Clock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Principal } from '../sessions/principal.ts';
import { type ScopeNote, scopeUsesIn } from './scope-use.repository.ts';

const FLUSH_MS = 2000;
const BATCH = 1000;
/** While the database is away, scopes beyond this are not noted; the next requests note them. */
const MAX_WAITING = 10_000;
/** How many scopes of all keys together are known as noted today; then all of them are noted again. */
const MAX_KNOWN = 100_000;
/** How many missing scopes of a key are noted in a day: callers can make names up. */
const MAX_MISSING = 100;
const DAY_MS = 86_400_000;
/** RFC 6749, section 3.3, and no longer than the name of a permission. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/;

const NONE: readonly string[] = [];

/** The scopes of a key that have been noted today. */
type Noted = { used: Set<string>; missing: Set<string> };

/**
 * Notes which scopes API keys use, and which they lack: for each key and scope the days, so that a
 * busy key costs one write a day. Requests only look at memory; what is new is written in batches, and a
 * replica that is killed loses at most the last two seconds.
 */
export class ScopeUse {
  readonly #database: Pick<SqlDatabase, 'read'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #noted = new Map<string, Noted>();
  readonly #waiting: ScopeNote[] = [];
  #known = 0;
  #day = '';
  #dayBeginsMs = Number.NaN;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: { database: Pick<SqlDatabase, 'read'>; clock: Clock; log: Log }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /**
   * Notes the scopes that a request needed. `missing` are those of `required` that the principal does not
   * hold. Only API keys count, and tokens that they were exchanged for.
   */
  note(principal: Principal, required: readonly string[], missing: readonly string[]): void {
    const { apiKeyId } = principal;
    if (apiKeyId === '' || required.length === 0) return;
    const age = this.#clock.now().getTime() - this.#dayBeginsMs;
    if (!(age >= 0 && age < DAY_MS)) this.#beginDay();
    const noted = this.#noted.get(apiKeyId);
    for (const scope of required) {
      const isMissing = missing.length > 0 && missing.includes(scope);
      const isNoted = isMissing ? noted?.missing.has(scope) : noted?.used.has(scope);
      if (!isNoted) this.#add(apiKeyId, scope, isMissing);
    }
  }

  /** The same for code that has not looked which of them are missing. */
  noteRequired(principal: Principal, required: readonly string[]): void {
    if (principal.apiKeyId === '' || required.length === 0) return;
    const holds = (scope: string) => principal.permissions.includes(scope);
    const missing = required.every(holds) ? NONE : required.filter((scope) => !holds(scope));
    this.note(principal, required, missing);
  }

  /** Writes what is waiting. Never throws: what can't be written waits for the next time. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  #beginDay(): void {
    const now = this.#clock.now();
    this.#dayBeginsMs = Math.floor(now.getTime() / DAY_MS) * DAY_MS;
    this.#day = now.toISOString().slice(0, 10);
    this.#forget();
  }

  #forget(): void {
    this.#noted.clear();
    this.#known = 0;
  }

  #add(apiKeyId: string, scope: string, isMissing: boolean): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    if (this.#known >= MAX_KNOWN) this.#forget();
    const noted = this.#notedOf(apiKeyId);
    if (isMissing && (noted.missing.size >= MAX_MISSING || !SCOPE.test(scope))) return;
    (isMissing ? noted.missing : noted.used).add(scope);
    this.#known += 1;
    this.#waiting.push({ apiKeyId, scope, isMissing, day: this.#day });
    this.#flushIn(FLUSH_MS);
  }

  #notedOf(apiKeyId: string): Noted {
    const known = this.#noted.get(apiKeyId);
    if (known) return known;
    const noted = { used: new Set<string>(), missing: new Set<string>() };
    this.#noted.set(apiKeyId, noted);
    return noted;
  }

  #flushIn(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), ms).unref();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        await this.#database.read((em) => scopeUsesIn(em).add(batch));
      } catch (error) {
        // It may have been written: a day counts once.
        this.#waiting.unshift(...batch);
        this.#log.debug({ component: 'scopes', ...errorFields(error) }, 'uses are waiting');
        this.#flushIn(FLUSH_MS);
        return;
      }
    }
  }
}
