import { type EntityManager, timestamp } from '../platform/sql.ts';
import { AuditEvent } from './audit-event.entity.ts';
import { type Stored, storedRows } from './stored-row.ts';

export type StoredEvent = Stored<AuditEvent>;

/** Reads audit events. `rest` is the statement from its `from` on. */
export function storedEvents(
  em: EntityManager,
  rest: string,
  parameters: readonly unknown[] = [],
): Promise<StoredEvent[]> {
  return storedRows(em, AuditEvent, rest, parameters);
}

/** The whole seconds and the nanoseconds of an event's time. */
export function eventTime({ occurredAt }: StoredEvent): { seconds: number; nanos: number } {
  const seconds = Math.floor(timestamp(occurredAt).getTime() / 1000);
  return { seconds, nanos: Number(occurredAt.slice(-7, -1)) * 1000 };
}
