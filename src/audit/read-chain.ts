import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { parseCursor } from './audit-cursor.ts';
import { AuditEvent } from './audit-event.entity.ts';
import { type AuditFilters, Conditions } from './audit-filters.ts';
import { type ChainEnds, type ChainPlace, currentEnds, EMPTY_CHAIN } from './chain-ends.ts';
import type { StoredEvent } from './stored-event.ts';
import { storedRows } from './stored-row.ts';

/** How many events of the chain are searched at once, and how many are returned at once. */
const WINDOW = 5000;
const PAGE = 100;

export type ChainedEvent = StoredEvent & ChainPlace;

/**
 * Events in the order of the chain. `end` is the place up to which events have been searched, whether
 * they match or not; undefined if retention has deleted events that had not been searched yet.
 */
export type ChainPage = { events: ChainedEvent[]; end: ChainPlace | undefined };

/** The next events after a place that match the filters, up to a position. */
export async function readChain(
  em: EntityManager,
  keyring: Keyring,
  { after, until }: { after: ChainPlace; until: number },
  filters: AuditFilters,
): Promise<ChainPage> {
  const last = Math.min(until, after.position + WINDOW);
  const conditions = new Conditions([after.position, last]).addFilters(filters);
  const range = 'position > $1 and position <= $2';
  const found = await storedRows<AuditEvent, { matches: boolean }>(
    em,
    AuditEvent,
    `from audit_events where ${range}
       and ((${conditions})
         or position = (select max(position) from audit_events where ${range}))
     order by position limit ${PAGE}`,
    conditions.parameters,
    `(${conditions}) as matches`,
  );
  // Read after the events, so that a deletion before they were read shows.
  const { anchor } = (await currentEnds(em, keyring)) ?? EMPTY_CHAIN;
  if (anchor.position > after.position) return { events: [], end: undefined };
  const chained = found.filter(isChained);
  return { events: chained.filter(({ matches }) => matches), end: chained.at(-1) ?? after };
}

function isChained<Event extends StoredEvent>(event: Event): event is Event & ChainPlace {
  return event.position !== null && event.hash !== null;
}

/** The place of a cursor, or undefined if the chain has none. Empty: the beginning of what is kept. */
export async function placeOf(
  em: EntityManager,
  keyring: Keyring,
  cursor: string,
): Promise<ChainPlace | undefined> {
  const ends = (await currentEnds(em, keyring)) ?? EMPTY_CHAIN;
  if (cursor === '') return ends.anchor;
  const parsed = parseCursor(cursor);
  if (!parsed) return undefined;
  const hash = await hashAt(em, ends, parsed.position);
  return hash?.startsWith(parsed.hashPrefix) ? { position: parsed.position, hash } : undefined;
}

/** The hash (hex) at a position that is kept, or at the last one before them; else undefined. */
export async function hashAt(
  em: EntityManager,
  { anchor }: ChainEnds,
  position: number,
): Promise<string | undefined> {
  if (position === anchor.position) return anchor.hash;
  const [row] = await query<{ hash: string }>(
    em,
    `select encode(hash, 'hex') as hash from audit_events where position = $1`,
    [position],
  );
  return row?.hash;
}
