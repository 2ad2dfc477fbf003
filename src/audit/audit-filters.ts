/** Which events: all that is set must fit. */
export type AuditFilters = {
  actor: string | undefined;
  subject: string | undefined;
  /** Empty: any. */
  types: readonly string[];
  outcome: 'success' | 'failure' | undefined;
  /** Not before, and before. */
  startTime: Date | undefined;
  endTime: Date | undefined;
};

/**
 * The version before made ids and times one after the other, so that an id may be a little younger than
 * its event's time says.
 */
const ID_SLACK_MS = 1000;

/** Conditions on `audit_events` with their parameters. `$n` counts on from those given. */
export class Conditions {
  readonly parameters: unknown[];
  readonly #all: string[] = [];

  constructor(parameters: unknown[] = []) {
    this.parameters = parameters;
  }

  /** A condition in which `?` stands for the value. */
  add(condition: string, value: unknown): this {
    this.parameters.push(value);
    this.#all.push(condition.replace('?', `$${this.parameters.length}`));
    return this;
  }

  /**
   * Those of the filters. A time is also put as a range of ids, which begin with it, and in whose order
   * every index is.
   */
  addFilters({ actor, subject, types, outcome, startTime, endTime }: AuditFilters): this {
    if (actor !== undefined) this.add('actor = ?::uuid', actor);
    if (subject !== undefined) this.add('subject = ?::uuid', subject);
    if (types.length === 1) this.add('type = ?', types[0]);
    if (types.length > 1) this.add('type = any(?::text[])', `{${types.join(',')}}`);
    if (outcome !== undefined) this.add('outcome = ?', outcome);
    if (startTime) {
      this.add('occurred_at >= ?::timestamptz', startTime);
      this.add('id >= ?::uuid', firstId(startTime.getTime()));
    }
    if (endTime) {
      this.add('occurred_at < ?::timestamptz', endTime);
      this.add('id < ?::uuid', firstId(endTime.getTime() + ID_SLACK_MS));
    }
    return this;
  }

  toString(): string {
    return this.#all.length === 0 ? 'true' : this.#all.join(' and ');
  }
}

/** What sorts before every UUIDv7 of a millisecond and after. */
function firstId(ms: number): string {
  const hex = Math.min(Math.max(ms, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
