import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { AuditEvent } from './audit-event.entity.ts';
import { type AuditEntry, auditEvent } from './record.ts';

const FLUSH_MS = 200;
const BATCH = 500;
/** Beyond this, with the database away, the oldest are given up for the log. */
const LIMIT = 10_000;

type Row = ReturnType<typeof auditEvent>;

/**
 * Events that belong to no change, such as refused sign-ins: written in batches off the path, so
 * that an attacker's guesses cost no transaction each, and a refusal takes no longer than a success.
 */
export class AuditQueue {
  readonly #database: Pick<Database, 'read'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #rows: Row[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(database: Pick<Database, 'read'>, clock: Clock, log: Log) {
    this.#database = database;
    this.#clock = clock;
    this.#log = log;
  }

  add(caller: Caller, entry: AuditEntry): void {
    this.#rows.push(auditEvent(this.#clock, caller, entry));
    if (this.#rows.length > LIMIT) this.#giveUp();
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what is waiting. Never throws: what can't be written waits for the next time. */
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
        await this.#database.read((em) =>
          // A batch that seemed to fail may have been written: then it is there already.
          em.upsertMany(AuditEvent, batch, {
            onConflictFields: ['id'],
            onConflictAction: 'ignore',
          }),
        );
      } catch (error) {
        this.#rows.unshift(...batch);
        this.#log.warn({ component: 'audit', ...errorFields(error) }, 'audit events are waiting');
        this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS * 5).unref();
        return;
      }
    }
  }

  #giveUp(): void {
    const lost = this.#rows.splice(0, this.#rows.length - LIMIT);
    for (const { type, subject, reason, requestId } of lost) {
      this.#log.error(
        { action: type, subject, reason, request_id: requestId },
        'audit event given up',
      );
    }
  }
}
