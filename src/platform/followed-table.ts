import { errorFields, type Log } from './log.ts';
import type { Hints } from './redis-hints.ts';
import { MAX_TRANSACTION_MS, type SqlDatabase } from './sql-database.ts';

/** S09 promises 99 of 100 revocations within a quarter of a second, even without Redis. */
const POLL_MS = 150;
/**
 * When the looks of each table begin (ms): all at once would hold up the calls of that moment, and the
 * processors of a database on the same machine.
 */
const PHASE_MS = { revocations: 0, roles: POLL_MS / 3, 'api-keys': (2 * POLL_MS) / 3 };
/** Looked at again each time, whatever transaction wrote it: servers that fail over forget some. */
export const AGAIN_MS = 10_000;
/**
 * Rows become visible when they commit, which is less than this later (ms) than their time stamp: a
 * transaction of any program has `MAX_TRANSACTION_MS`, and its commit has as much again.
 */
export const OVERLAP_MS = 2 * MAX_TRANSACTION_MS + 10_000;
/** The maximum age (ms) of the memory by which tokens are issued. */
export const RECENT_MS = 500;
const STALENESS_LIMIT_MS = 10_000;

export type FollowedTableDeps = {
  database: SqlDatabase;
  log: Log;
  hints: Hints;
  /** After this long without a look at the table, memory alone is no longer trusted. */
  stalenessLimitMs?: number;
};

/**
 * This replica's memory of a table, which stays the record. It looks at the table seven times a second,
 * and at once if another replica hints that it has changed something.
 */
export abstract class FollowedTable {
  readonly #name: keyof typeof PHASE_MS;
  readonly #deps: FollowedTableDeps;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: keyof typeof PHASE_MS, deps: FollowedTableDeps) {
    this.#name = name;
    this.#deps = deps;
  }

  /** Reads the table, and follows it from then on. */
  async start(): Promise<void> {
    await this.lookAfresh();
    // It is started again if something that starts after it failed.
    this.stop();
    this.#deps.hints.subscribe(this.#channel, this.lookSoon);
    const look = () => void this.#tryTo(() => this.look());
    this.#timer = setTimeout(() => {
      this.#timer = setInterval(look, POLL_MS).unref();
    }, PHASE_MS[this.#name]).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  get isStale(): boolean {
    return this.#isOlderThan(this.#deps.stalenessLimitMs ?? STALENESS_LIMIT_MS);
  }

  /** How long ago the last look began (ms). */
  get lookedAgoMs(): number {
    return performance.now() - this.#lookedAt;
  }

  #isOlderThan(ms: number): boolean {
    return this.lookedAgoMs > ms;
  }

  /**
   * Brings memory up to date unless it is recent. Tokens are issued only after this: when something is
   * narrowed, other verifiers are told to refuse what was issued up to a moment shortly after.
   */
  async requireRecent(): Promise<void> {
    if (this.#isOlderThan(RECENT_MS)) await this.look();
  }

  /** Brings memory up to date. Several calls at once share one look. */
  look(): Promise<void> {
    const startedAt = performance.now();
    this.#looking ??= this.readChanges()
      .then(() => {
        this.#lookedAt = startedAt;
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  /** Looks at the table as it is now: a look that is under way may have missed the latest change. */
  async lookAfresh(): Promise<void> {
    await this.#looking?.catch(() => {});
    await this.look();
  }

  /** The same without throwing: if it fails, the next look comes soon. */
  readonly lookSoon = (): Promise<void> => this.#tryTo(() => this.lookAfresh());

  /** Reads the changes since the last time into memory. */
  protected abstract readChanges(): Promise<void>;

  /** Makes the other replicas look. For use after a change has committed. */
  protected tellOthers(): void {
    this.#deps.hints.publish(this.#channel);
  }

  get #channel(): string {
    return `countersign:${this.#name}`;
  }

  async #tryTo(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#deps.log.debug({ component: this.#name, ...errorFields(error) }, 'table not read');
    }
  }
}
