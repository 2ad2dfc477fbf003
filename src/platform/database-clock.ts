import type { Clock } from './clock.ts';
import { query } from './sql.ts';
import type { SqlDatabase } from './sql-database.ts';

/** A clock that was this wrong (ms) is set back at once; otherwise it stands until it is right. */
const LARGE_STEP_MS = 1000;

/**
 * The database's clock, as this process knows it: the time of all that is recorded and issued, so that
 * replicas whose own clocks differ act as one (S15). Between answers of the database it runs on by a clock
 * that is never set.
 */
export class DatabaseClock implements Clock {
  /** What is added to `performance.now()`. */
  #offsetMs: number;
  #notBefore = 0;

  /** Until the database has said its time, that of this machine stands in for it. */
  constructor(machine: Clock) {
    this.#offsetMs = machine.now().getTime() - performance.now();
  }

  now(): Date {
    return new Date(Math.max(performance.now() + this.#offsetMs, this.#notBefore));
  }

  /** Asks the database for its time. Throws `unavailable` if it does not answer. */
  async ask(database: Pick<SqlDatabase, 'look'>): Promise<void> {
    const sentAt = performance.now();
    const [row] = await database.look((em) =>
      query<{ ms: number }>(
        em,
        'select (extract(epoch from statement_timestamp()) * 1000)::float8 as ms',
      ),
    );
    if (row) this.note(Number(row.ms), sentAt);
  }

  /**
   * Notes that the database's clock said `databaseMs` (since 1970) at some time after `sentAt` (of
   * `performance.now()`) and before now. A slow answer says less than a fast one: the clock moves no
   * further than it has to.
   */
  note(databaseMs: number, sentAt: number): void {
    const [least, most] = [databaseMs - performance.now(), databaseMs - sentAt];
    const shown = this.now().getTime();
    this.#offsetMs = Math.min(Math.max(this.#offsetMs, least), most);
    // A correction by milliseconds puts nothing that happens next before what has happened.
    const back = shown - (performance.now() + this.#offsetMs);
    this.#notBefore = back < LARGE_STEP_MS ? shown : 0;
  }
}
