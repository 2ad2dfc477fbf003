import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type AuditFilters, Conditions } from './audit-filters.ts';
import { type StoredEvent, storedEvents } from './stored-event.ts';

/**
 * Returns the events that match the filters, the newest first. Every page costs the same.
 *
 * Throws `INVALID_REQUEST` for a page token of another query.
 */
export async function listAuditEvents(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  { filters, ...page }: PageRequest & { filters: AuditFilters },
): Promise<{ events: StoredEvent[]; nextPageToken: string }> {
  const query = ['audit_events', JSON.stringify({ ...filters, types: filters.types.toSorted() })];
  const { items, nextPageToken } = await readPage(
    keyring,
    query,
    page,
    (before, limit) => database.read(caller, (em) => findEvents(em, filters, before, limit)),
    ({ id }) => id,
  );
  return { events: items, nextPageToken };
}

/**
 * Finds events by filters. Several types without an account are read from the index of types one by
 * one, which has the newest events of each in order.
 */
async function findEvents(
  em: EntityManager,
  filters: AuditFilters,
  before: string | undefined,
  limit: number,
): Promise<StoredEvent[]> {
  const { actor, subject, types } = filters;
  const eachType = types.length > 1 && actor === undefined && subject === undefined;
  const conditions = new Conditions();
  if (before !== undefined) conditions.add('id < ?::uuid', before);
  conditions.addFilters(eachType ? { ...filters, types: [] } : filters);
  const newest = (condition: string) =>
    `from audit_events where ${condition} order by id desc limit ${limit}`;
  const { parameters } = conditions;
  if (!eachType) return storedEvents(em, newest(`${conditions}`), parameters);
  const rest = `
    from unnest($${parameters.length + 1}::text[]) wanted
    cross join lateral (select * ${newest(`type = wanted and ${conditions}`)}) found
    order by id desc limit ${limit}`;
  return storedEvents(em, rest, [...parameters, `{${types.join(',')}}`]);
}
