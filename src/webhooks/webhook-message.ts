import type { AuditEventRow } from '../audit/audit-event.repository.ts';
import type { StoredEvent } from '../audit/stored-event.ts';
import type { MessageRow } from './webhook-message.repository.ts';

type Told = Pick<StoredEvent, 'id' | 'type' | 'occurredAt' | 'subject' | 'actor' | 'details'>;

/**
 * Returns the message that tells of an event. It has what stays in the trail when a person is erased
 * (C13): ids, which then lead to nobody, and details, which never name one.
 */
export function messageOf({ id, type, occurredAt, subject, actor, details }: Told): MessageRow {
  const data = { event_id: id, subject, actor, details };
  const payload = JSON.stringify({ type, timestamp: occurredAt, data });
  return { id, type, payload: Buffer.from(payload) };
}

/** The same of an event that has just been written. */
export function messageOfNew(event: AuditEventRow): MessageRow {
  // As the database has it, with microseconds.
  const occurredAt = event.occurredAt.toISOString().replace('Z', '000Z');
  const { id, type, subject = null, actor = null, details } = event;
  return messageOf({ id, type, occurredAt, subject, actor, details });
}
