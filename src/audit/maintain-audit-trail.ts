import { operator } from '../platform/caller.ts';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { auditEvent } from './audit-entry.ts';
import { auditEventsIn } from './audit-event.repository.ts';
import { type ChainPlace, lockEnds, writeEnds } from './chain-ends.ts';
import { checkEvent } from './check-chain.ts';
import { continueErasure } from './erase-personal-data.ts';
import { type StoredEvent, storedEvents } from './stored-event.ts';

const BATCH = 500;
const DAY_MS = 24 * 3600_000;

type Needs = {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  /** How long events are kept (ms). */
  auditRetentionMs: number | 'off';
};

/**
 * Continues erasures, puts the chain's ends under the current master key, and deletes the events that
 * are older than the retention: a batch at a time, on one replica at a time. Stops early once `signal`
 * fires.
 */
export async function maintainAuditTrail(needs: Needs, signal: AbortSignal): Promise<void> {
  const { database, keyring } = needs;
  while (!signal.aborted && (await database.transaction(continueErasure)));
  await database.transaction((em) => renewMac(em, keyring));
  while (!signal.aborted && (await database.transaction((em) => deleteOldest(em, needs))));
}

/** Puts the chain's ends under the current master key, so that older ones can be retired. */
async function renewMac(em: EntityManager, keyring: Keyring): Promise<void> {
  const ends = await lockEnds(em, keyring, 'wait');
  if (ends && ends.keyVersion !== keyring.current) await writeEnds(em, keyring, ends);
}

/**
 * Deletes a batch of the oldest events, records that with an event, and leaves an authenticated anchor
 * in their place, which keeps the rest provable. Returns whether there may be more.
 *
 * Deletes whole days: an event is kept for the configured time and up to a day longer. Throws
 * `FlawFound` at an event that differs from what was chained: it is evidence and stays.
 */
async function deleteOldest(em: EntityManager, needs: Needs): Promise<boolean> {
  const { auditRetentionMs, clock, keyring } = needs;
  if (auditRetentionMs === 'off') return false;
  const now = clock.now();
  const cutoff = addMs(now, -auditRetentionMs);
  const before = new Date(Math.floor(cutoff.getTime() / DAY_MS) * DAY_MS);
  const ends = await lockEnds(em, keyring, 'wait');
  if (!ends) return false;
  const events = await oldest(em, ends.anchor, before);
  if (events.length === 0) return false;
  let anchor = ends.anchor;
  for (const event of events) anchor = checkEvent(keyring, anchor, event);
  await query(em, 'delete from audit_events where position <= $1', [anchor.position]);
  const details = {
    before: before.toISOString(),
    count: events.length,
    first_position: ends.anchor.position + 1,
    last_position: anchor.position,
  };
  auditEventsIn(em).add(auditEvent(now, operator(), { type: 'audit.events_deleted', details }));
  await writeEnds(em, keyring, { ...ends, anchor });
  return events.length === BATCH;
}

/** The first events after the anchor that are older than `before`. */
async function oldest(em: EntityManager, anchor: ChainPlace, before: Date): Promise<StoredEvent[]> {
  const events = await storedEvents(
    em,
    `from audit_events where position > $1 order by position limit ${BATCH}`,
    [anchor.position],
  );
  const kept = events.findIndex(({ occurredAt }) => timestamp(occurredAt) >= before);
  return kept === -1 ? events : events.slice(0, kept);
}
