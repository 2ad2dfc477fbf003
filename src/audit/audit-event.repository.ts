import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { AuditEvent } from './audit-event.entity.ts';

/** An event before it has its place in the chain. */
export type AuditEventRow = Omit<
  AuditEvent,
  'ipSalt' | 'ipHash' | 'personalSalt' | 'personalHash' | 'position' | 'hash' | 'seal'
>;

export class AuditEventRepository extends Repository<AuditEvent> {
  /** Adds an event to the unit of work: it commits with the change that it records, or not at all. */
  add(event: AuditEventRow): void {
    this.em.persist(this.em.create(AuditEvent, event));
  }

  /** Writes many events in one statement. */
  async insertAll(events: AuditEventRow[]): Promise<void> {
    if (events.length > 0) await this.em.insertMany(AuditEvent, events);
  }

  /** Writes those of the events that have not been written before. */
  async insertMissing(events: AuditEventRow[]): Promise<void> {
    await this.em.upsertMany(AuditEvent, events, {
      onConflictFields: ['id'],
      onConflictAction: 'ignore',
    });
  }

  /**
   * Returns a statement that inserts an event, for use within the statement that makes its change: one
   * round trip for both. Its parameters are numbered from `first`. It inserts nothing if `change`, an
   * earlier part of that statement, has returned no row.
   */
  insertStatement(
    event: AuditEventRow,
    first: number,
    change?: string,
  ): { sql: string; parameters: unknown[] } {
    const given = this.columnsOf({ ...event, details: JSON.stringify(event.details) });
    const places = Object.keys(given).map((_, index) => `$${first + index}`);
    const values = places.join(', ');
    const rows = change === undefined ? `values (${values})` : `select ${values} from ${change}`;
    return {
      sql: `insert into audit_events (${Object.keys(given).join(', ')}) ${rows}`,
      parameters: Object.values(given),
    };
  }

  /** Returns the values of an event by the names of their columns. */
  columnsOf(event: { [name in keyof AuditEventRow]: unknown }): Record<string, unknown> {
    const { properties } = this.em.getMetadata(AuditEvent);
    const given = Object.entries(event) as [keyof typeof properties & string, unknown][];
    return Object.fromEntries(
      given.map(([name, value]) => [properties[name].fieldNames[0] ?? name, value]),
    );
  }
}

/** The audit events that a connection or a transaction sees. */
export function auditEventsIn(em: EntityManager): AuditEventRepository {
  return new AuditEventRepository(em, AuditEvent);
}
