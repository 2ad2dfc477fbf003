import type { Clock } from './clock.ts';
import { query } from './sql.ts';
import type { SqlDatabase } from './sql-database.ts';

/** A clock that is this far ahead (ms) is set back at once; otherwise it stops until the time has come. */
const LARGE_STEP_MS = 1000;

/**
 * The database's clock, as this process knows it: the time of everything that is recorded and issued, so
 * that replicas on machines whose clocks differ act as one (S15). Between answers of the database it
 * continues by a clock that nobody sets.
 */
export class DatabaseClock implements Clock {
  /** What is added to `performance.now()`. */
  #offsetMs: number;
  #notBefore = 0;

  /** Uses the clock of this machine until the database has answered. */
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
   * Notes that the database's clock showed `databaseMs` (since 1970) at some time between `sentAt` (by
   * `performance.now()`) and now. A slow answer says less than a fast one: the clock moves no further than
   * the answer requires.
   */
  note(databaseMs: number, sentAt: number): void {
    const [least, most] = [databaseMs - performance.now(), databaseMs - sentAt];
    const shown = this.now().getTime();
    this.#offsetMs = Math.min(Math.max(this.#offsetMs, least), most);
    // After a small correction, what happens next must not seem to be earlier than what has happened.
    const back = shown - (performance.now() + this.#offsetMs);
    this.#notBefore = back < LARGE_STEP_MS ? shown : 0;
  }
}
