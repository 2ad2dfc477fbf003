import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { parseCursor } from './audit-cursor.ts';
import { type AuditFilters, Conditions } from './audit-filters.ts';
import { type ChainEnds, type ChainPlace, currentEnds, EMPTY_CHAIN } from './chain-ends.ts';
import {
  EVENT_COLUMNS,
  type StoredEvent,
  type StoredEventRow,
  storedEvent,
} from './stored-event.ts';

/** Events of the chain that are looked through at once, and that are given at once. */
const WINDOW = 5000;
const PAGE = 100;

export type ChainedEvent = StoredEvent & ChainPlace;

/**
 * Events in the order of the chain. `end` is how far that has come, over those that the filters leave out
 * too; undefined where some have been deleted that nobody has looked at.
 */
export type ChainPage = { events: ChainedEvent[]; end: ChainPlace | undefined };

/** The next events after a place that the filters fit, up to a position. */
export async function readChain(
  em: EntityManager,
  keyring: Keyring,
  { after, until }: { after: ChainPlace; until: number },
  filters: AuditFilters,
): Promise<ChainPage> {
  const last = Math.min(until, after.position + WINDOW);
  const conditions = new Conditions([after.position, last]).addFilters(filters);
  const rows = await query<StoredEventRow & { fits: boolean }>(
    em,
    `with last as (
       select max(position) as position from audit_events
       where position > $1 and position <= $2)
     select ${EVENT_COLUMNS}, (${conditions}) as fits from audit_events
     where position > $1 and position <= $2
       and ((${conditions}) or position = (select position from last))
     order by position limit ${PAGE}`,
    conditions.parameters,
  );
  // Asked afterwards, so that none can have been deleted before the events were read.
  const { anchor } = (await currentEnds(em, keyring)) ?? EMPTY_CHAIN;
  if (anchor.position > after.position) return { events: [], end: undefined };
  const found = rows.map((row) => ({ ...storedEvent(row), fits: row.fits }) as ChainedEvent & Fits);
  return { events: found.filter(({ fits }) => fits), end: found.at(-1) ?? after };
}

type Fits = { fits: boolean };

/** Where a cursor leads; undefined where it leads nowhere. Empty: to the beginning of what is kept. */
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

/** The hash in hex at a position of the chain that is kept, or of the one before it. */
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
