import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type AuditFilters, Conditions } from './audit-filters.ts';
import {
  EVENT_COLUMNS,
  type StoredEvent,
  type StoredEventRow,
  storedEvent,
} from './stored-event.ts';

const DEFAULT_PAGE_SIZE = 50;

export type ListAuditEventsDeps = { database: SqlDatabase; keyring: Keyring };

export type ListAuditEvents = {
  filters: AuditFilters;
  /** 0: the default. */
  pageSize: number;
  pageToken: string;
};

/**
 * The events that the filters fit, the newest first. A page costs the same wherever it is.
 *
 * Throws `INVALID_REQUEST` for a page token of another query.
 */
export async function listAuditEvents(
  deps: ListAuditEventsDeps,
  caller: Caller,
  { filters, pageSize, pageToken: token }: ListAuditEvents,
): Promise<{ events: StoredEvent[]; nextPageToken: string }> {
  const queried = ['audit_events', JSON.stringify({ ...filters, types: filters.types.toSorted() })];
  const before = pagePosition(deps.keyring, queried, token);
  const limit = pageSize || DEFAULT_PAGE_SIZE;
  const events = await deps.database.read(
    (em) => findEvents(em, filters, before, limit + 1),
    caller.signal,
  );
  const page = events.slice(0, limit);
  const last = page.at(-1);
  const hasMore = events.length > limit && last !== undefined;
  return { events: page, nextPageToken: hasMore ? pageToken(deps.keyring, queried, last.id) : '' };
}

/** Several types alone are read from their index one by one, so that each gives its newest at once. */
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
  const newest = (where: string) =>
    `select ${EVENT_COLUMNS} from audit_events where ${where} order by id desc limit ${limit}`;
  const { parameters } = conditions;
  if (!eachType) {
    return (await query<StoredEventRow>(em, newest(`${conditions}`), parameters)).map(storedEvent);
  }
  const sql = `
    select found.* from unnest($${parameters.length + 1}::text[]) wanted
    cross join lateral (${newest(`type = wanted and ${conditions}`)}) found
    order by found.id desc limit ${limit}`;
  const rows = await query<StoredEventRow>(em, sql, [...parameters, `{${types.join(',')}}`]);
  return rows.map(storedEvent);
}
