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
   * round trip for both. Its parameters are numbered from `first`.
   */
  insertStatement(event: AuditEventRow, first: number): { sql: string; parameters: unknown[] } {
    const { properties } = this.em.getMetadata(AuditEvent);
    const given = Object.entries(event) as [keyof typeof properties & string, unknown][];
    const columns = given.map(([name]) => properties[name].fieldNames[0]);
    const places = given.map((_, index) => `$${first + index}`);
    return {
      sql: `insert into audit_events (${columns.join(', ')}) values (${places.join(', ')})`,
      parameters: given.map(([name, value]) =>
        name === 'details' ? JSON.stringify(value) : value,
      ),
    };
  }
}

/** The audit events that a connection or a transaction sees. */
export function auditEventsIn(em: EntityManager): AuditEventRepository {
  return new AuditEventRepository(em, AuditEvent);
}
