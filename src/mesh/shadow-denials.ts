import type { Clock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Principal } from '../sessions/principal.ts';
import {
  MAX_SHADOW_DENIALS,
  type ShadowCount,
  shadowDenialsIn,
} from './shadow-denial.repository.ts';

const FLUSH_MS = 2000;
const MAX_RULE = 256;
/** Reasons beyond this number are counted together, so that a metric by reason stays small. */
const MAX_REASONS = 64;
const OTHER = 'OTHER';

type Denial = { rule: string; reason: string; principal: Principal | undefined };

/**
 * Counts what shadow mode lets through although it would have been denied: by reason for metrics,
 * and by rule, reason and principal for a report over all replicas, which is written in batches. A
 * replica that is killed loses at most the last two seconds of the report.
 */
export class ShadowDenials {
  readonly #database: Pick<SqlDatabase, 'read'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #byReason = new Map<string, number>();
  #waiting = new Map<string, ShadowCount>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: { database: Pick<SqlDatabase, 'read'>; clock: Clock; log: Log }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** How often this replica has counted each reason since it started. */
  get byReason(): ReadonlyMap<string, number> {
    return this.#byReason;
  }

  /** Counts a request that was let through. `reason` says why it would have been denied. */
  note({ rule, reason, principal }: Denial): void {
    const counted =
      this.#byReason.has(reason) || this.#byReason.size < MAX_REASONS ? reason : OTHER;
    this.#byReason.set(counted, (this.#byReason.get(counted) ?? 0) + 1);
    const at = this.#clock.now();
    this.#count({
      rule: storable(rule),
      reason: storable(counted),
      subject: principal?.subject ?? '',
      apiKeyId: principal?.apiKeyId ?? '',
      count: 1,
      firstAt: at,
      lastAt: at,
    });
    this.#flushIn(FLUSH_MS);
  }

  /** Writes what is waiting. Never throws: what can't be written waits for the next time. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  /** What comes when the report is full is in the counts by reason only. */
  #count(added: ShadowCount): void {
    const key = JSON.stringify([added.rule, added.reason, added.subject, added.apiKeyId]);
    const known = this.#waiting.get(key);
    if (known) {
      known.count += added.count;
      if (added.lastAt > known.lastAt) known.lastAt = added.lastAt;
      if (added.firstAt < known.firstAt) known.firstAt = added.firstAt;
    } else if (this.#waiting.size < MAX_SHADOW_DENIALS) this.#waiting.set(key, added);
  }

  #flushIn(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), ms).unref();
  }

  async #write(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const batch = [...this.#waiting.values()];
    this.#waiting = new Map();
    try {
      await this.#database.read((em) => shadowDenialsIn(em).add(batch));
    } catch (error) {
      this.#log.debug({ component: 'mesh', ...errorFields(error) }, 'shadow denials are waiting');
      for (const count of batch) this.#count(count);
      this.#flushIn(FLUSH_MS);
      return;
    }
    // What this fails to delete, the background deletes.
    const forget = (em: EntityManager) => shadowDenialsIn(em).forgetOver(this.#clock.now());
    await this.#database.read(forget).catch(() => {});
  }
}

/** Text that PostgreSQL takes, of a bounded length. */
function storable(text: string): string {
  return text.slice(0, MAX_RULE).toWellFormed().replaceAll('\0', '\ufffd');
}
