/** So long without contact (ms) is an outage: contacts are a fraction of a second apart. */
const LEAST_MS = 1000;
/** What is remembered: enough for a client that waited through several outages in a row. */
const REMEMBERED = 100;

type Outage = { from: number; until: number };

/**
 * The times when this replica had no contact with the database, whatever the cause: a database that was
 * frozen or away, a stalled connection, or a process that was not running. All times are milliseconds
 * since 1970 by the database's clock.
 */
export class Outages {
  readonly #past: Outage[] = [];
  #lastContact: number | undefined;

  /** Notes that the database answered, and what its clock said. */
  noteContact(at: number): void {
    const last = this.#lastContact;
    this.#lastContact = at;
    if (last === undefined || at - last < LEAST_MS) return;
    this.#past.push({ from: last, until: at });
    if (this.#past.length > REMEMBERED) this.#past.shift();
  }

  /**
   * Returns the end of a period of `ms` that began at `start` and begins again after each outage that
   * falls into it: a client that was cut off has the whole period to come back. The period never includes
   * more than twice `ms` in which the database answered, so that nobody can keep it open with many short
   * outages. `now` is the present.
   */
  endOf(start: number, ms: number, now: number): number {
    let end = start + ms;
    let latest = start + 2 * ms;
    for (const { from, until } of [...this.#past, ...this.#present(now)]) {
      if (from > end || until <= start) continue;
      latest += until - Math.max(from, start);
      end = Math.max(end, Math.min(until + ms, latest));
    }
    return end;
  }

  /** The outage whose end has not been noted yet, if there is one. */
  #present(now: number): Outage[] {
    const from = this.#lastContact;
    return from !== undefined && now - from >= LEAST_MS ? [{ from, until: now }] : [];
  }
}
