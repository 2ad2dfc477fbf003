import { randomUUID } from 'node:crypto';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type ChainPlace, lockEnds, writeEnds } from './chain-ends.ts';
import { checkEvent } from './check-chain.ts';
import { continueErasure } from './erase-personal-data.ts';
import { recordAudit } from './record.ts';
import {
  EVENT_COLUMNS,
  type StoredEvent,
  type StoredEventRow,
  storedEvent,
} from './stored-event.ts';

const BATCH = 500;
const DAY_MS = 24 * 3600_000;

export type MaintainAuditTrailDeps = {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  /** How long events are kept (ms). */
  auditRetentionMs: number | 'off';
};

/**
 * What is done with the trail from time to time, a batch at a time and by one replica at a time: erasures
 * go on, the chain's ends come under the current master key, and what is older than the retention is
 * deleted. Stops early once `signal` fires.
 */
export async function maintainAuditTrail(
  deps: MaintainAuditTrailDeps,
  signal: AbortSignal,
): Promise<void> {
  const { database, keyring } = deps;
  while (!signal.aborted && (await database.transaction(continueErasure)));
  await database.transaction((em) => renewMac(em, keyring));
  while (!signal.aborted && (await database.transaction((em) => deleteOldest(em, deps))));
}

/** A retired master key must not be what the chain's ends can be verified by. */
async function renewMac(em: EntityManager, keyring: Keyring): Promise<void> {
  const ends = await lockEnds(em, keyring, 'wait');
  if (ends && ends.keyVersion !== keyring.current) await writeEnds(em, keyring, ends);
}

/**
 * Deletes some of the oldest events, with an event that says so, and leaves an authenticated anchor in
 * their place, so that the rest stays provable. Says whether there may be more.
 *
 * Whole days go at once: an event is kept for as long as is configured, and up to a day longer. Events
 * that are not what was put in the chain are evidence, and are left: it throws `FlawFound`.
 */
async function deleteOldest(em: EntityManager, deps: MaintainAuditTrailDeps): Promise<boolean> {
  const { auditRetentionMs, clock, keyring } = deps;
  if (auditRetentionMs === 'off') return false;
  const cutoff = addMs(clock.now(), -auditRetentionMs);
  const before = new Date(Math.floor(cutoff.getTime() / DAY_MS) * DAY_MS);
  const ends = await lockEnds(em, keyring, 'wait');
  if (!ends) return false;
  const events = await oldest(em, ends.anchor, before);
  if (events.length === 0) return false;
  let anchor = ends.anchor;
  for (const event of events) anchor = checkEvent(keyring, anchor, event);
  await query(em, 'delete from audit_events where position <= $1', [anchor.position]);
  recordAudit(em, deps, ourselves(), {
    type: 'audit.events_deleted',
    details: {
      before: before.toISOString(),
      count: events.length,
      first_position: ends.anchor.position + 1,
      last_position: anchor.position,
    },
  });
  await writeEnds(em, keyring, { ...ends, anchor });
  return events.length === BATCH;
}

/** The first events after the anchor, up to the first that is not older than `before`. */
async function oldest(em: EntityManager, anchor: ChainPlace, before: Date): Promise<StoredEvent[]> {
  const rows = await query<StoredEventRow & { isOld: boolean }>(
    em,
    `select ${EVENT_COLUMNS}, occurred_at < $2::timestamptz as "isOld" from audit_events
     where position > $1 order by position limit ${BATCH}`,
    [anchor.position, before],
  );
  const kept = rows.findIndex(({ isOld }) => !isOld);
  return rows.slice(0, kept === -1 ? rows.length : kept).map(storedEvent);
}

/** What the service does by itself comes from no call. */
function ourselves() {
  return {
    requestId: randomUUID(),
    ipAddress: '',
    userAgent: '',
    signal: new AbortController().signal,
  };
}
