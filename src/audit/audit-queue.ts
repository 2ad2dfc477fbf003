import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type AuditEntry, auditEvent } from './audit-entry.ts';
import { type AuditEventRow, auditEventsIn } from './audit-event.repository.ts';
import { withoutPersonOf } from './erase-personal-data.ts';

const FLUSH_MS = 200;
const BATCH = 500;
/** Beyond this number, while the database is unavailable, the oldest events go to the log alone. */
const LIMIT = 10_000;

/**
 * A queue of events that belong to no change, such as refused sign-ins. They are written in batches,
 * outside the calls: an attacker's guesses cost no transaction each, and a refusal takes no longer than
 * a success.
 */
export class AuditQueue {
  readonly #database: Pick<SqlDatabase, 'read'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #rows: AuditEventRow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(database: Pick<SqlDatabase, 'read'>, clock: Clock, log: Log) {
    this.#database = database;
    this.#clock = clock;
    this.#log = log;
  }

  add(caller: Caller, entry: AuditEntry): void {
    this.#rows.push(auditEvent(this.#clock.now(), caller, entry));
    if (this.#rows.length > LIMIT) this.#dropOldest();
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is waiting. Never throws: events that can't be written wait for the next time. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async #write(): Promise<void> {
    while (this.#rows.length > 0) {
      const batch = this.#rows.splice(0, BATCH);
      try {
        // A batch whose write seemed to fail may have been written.
        await this.#database.read(async (em) => {
          await auditEventsIn(em).insertMissing(await withoutGone(em, batch));
        });
      } catch (error) {
        this.#rows.unshift(...batch);
        this.#log.warn({ component: 'audit', ...errorFields(error) }, 'audit events are waiting');
        this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS * 5).unref();
        return;
      }
    }
  }

  #dropOldest(): void {
    const dropped = this.#rows.splice(0, this.#rows.length - LIMIT);
    for (const { type, subject, reason, requestId } of dropped) {
      this.#log.error(
        { action: type, subject, reason, request_id: requestId },
        'audit event dropped',
      );
    }
  }
}

/** The events without what belongs to people who were erased while these waited. */
async function withoutGone(em: EntityManager, events: AuditEventRow[]): Promise<AuditEventRow[]> {
  const ids = new Set(events.flatMap(({ actor, subject }) => [actor ?? [], subject ?? []].flat()));
  if (ids.size === 0) return events;
  const gone = new Set(await accountsIn(em).goneAmong([...ids]));
  return gone.size === 0 ? events : events.map((event) => withoutPersonOf(event, gone));
}
