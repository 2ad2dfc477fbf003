/** Filters of events. An event must match all that are set. */
export type AuditFilters = {
  actor: string | undefined;
  subject: string | undefined;
  /** Empty: all types. */
  types: readonly string[];
  outcome: 'success' | 'failure' | undefined;
  /** From `startTime` on, and before `endTime`. */
  startTime: Date | undefined;
  endTime: Date | undefined;
};

/**
 * The previous version made an event's id a moment after its time, so the id may be a little younger
 * than the time.
 */
const ID_SLACK_MS = 1000;

/** Conditions on `audit_events` with their parameters, numbered after those given. */
export class Conditions {
  readonly parameters: unknown[];
  readonly #all: string[] = [];

  constructor(parameters: unknown[] = []) {
    this.parameters = parameters;
  }

  /** Adds a condition, in which `?` stands for the value. */
  add(condition: string, value: unknown): this {
    this.parameters.push(value);
    this.#all.push(condition.replace('?', `$${this.parameters.length}`));
    return this;
  }

  /**
   * Adds the conditions of the filters. A time also becomes a range of ids: ids begin with it, and
   * every index is in their order.
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

/** Returns the id that sorts before every UUIDv7 of this millisecond and of later ones. */
function firstId(ms: number): string {
  const hex = Math.min(Math.max(ms, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
