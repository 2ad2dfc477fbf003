import type { Keyring } from '../platform/crypto.ts';
import { NewsReader } from '../platform/news.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { formatCursor } from './audit-cursor.ts';
import type { AuditFilters } from './audit-filters.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { ChainPlace } from './chain-ends.ts';
import { type ChainedEvent, type ChainPage, placeOf, readChain } from './read-chain.ts';

/** How soon a checkpoint that had to be left out is thought of again. */
const STALE_RETRY_MS = 250;

export type WatchAuditEventsDeps = {
  database: SqlDatabase;
  keyring: Keyring;
  auditTrail: AuditTrail;
  /** How often a reader hears that it hears (ms), and how many there may be. */
  limits: { checkpointMs: number; maxAuditWatchers: number };
};

/** What a reader is told. `cursor` is where it stands then; empty: at the beginning. */
export type AuditNews =
  | { type: 'event'; cursor: string; event: ChainedEvent }
  | { type: 'checkpoint'; cursor: string; caughtUp: boolean }
  | { type: 'resync'; cursor: '' };

/**
 * Tells of the events in the chain for as long as `signal` lets it: those after `cursor`, then those that
 * come, each once (E01). A cursor that leads nowhere is answered with `resync` and everything there is.
 *
 * Events are read a page at a time, when the reader has taken those before: a slow one costs no more than
 * a page. Throws `OVERLOADED` where the replica has as many readers as it takes, and
 * `DEPENDENCY_UNAVAILABLE` where it can't read.
 */
export async function* watchAuditEvents(
  deps: WatchAuditEventsDeps,
  { filters, cursor }: { filters: AuditFilters; cursor: string },
  signal: AbortSignal,
): AsyncGenerator<AuditNews> {
  const { auditTrail, limits } = deps;
  const reader = new NewsReader(auditTrail.listeners, limits.maxAuditWatchers, signal);
  const checkpoints = new Checkpoints(deps);
  try {
    await auditTrail.look();
    let place = await placeIn(deps, cursor);
    while (!signal.aborted) {
      // It is put back only where the database was.
      if (place && auditTrail.headPosition < place.position) {
        place = await placeIn(deps, formatCursor(place));
      }
      if (!place) {
        yield { type: 'resync', cursor: '' };
        checkpoints.beginAnew();
        place = await placeIn(deps, '');
        continue;
      }
      if (auditTrail.headPosition > place.position) {
        const page = await pageAfter(deps, place, filters);
        for (const event of page.events)
          yield { type: 'event', cursor: formatCursor(event), event };
        place = page.end;
        if (!place) continue;
      }
      const caughtUp = place.position >= auditTrail.headPosition;
      if (checkpoints.isDue(caughtUp)) {
        yield { type: 'checkpoint', cursor: formatCursor(place), caughtUp };
      }
      if (caughtUp) await reader.wait(checkpoints.dueMs);
    }
  } finally {
    reader.leave();
  }
}

function placeIn(
  { database, keyring }: WatchAuditEventsDeps,
  cursor: string,
): Promise<ChainPlace | undefined> {
  return database.read((em) => placeOf(em, keyring, cursor));
}

function pageAfter(
  { database, keyring, auditTrail }: WatchAuditEventsDeps,
  after: ChainPlace,
  filters: AuditFilters,
): Promise<ChainPage> {
  const range = { after, until: auditTrail.headPosition };
  return database.read((em) => readChain(em, keyring, range, filters));
}

/** When a reader is told that it hears: when it has caught up, and every few seconds. */
class Checkpoints {
  readonly #deps: WatchAuditEventsDeps;
  #hasCaughtUp = false;
  #dueAt = 0;

  constructor(deps: WatchAuditEventsDeps) {
    this.#deps = deps;
    this.#putOff();
  }

  /** How long until the next one (ms), or until it is thought of again. */
  get dueMs(): number {
    const ms = this.#dueAt - performance.now();
    return ms > 0 ? ms + 1 : STALE_RETRY_MS;
  }

  beginAnew(): void {
    this.#hasCaughtUp = false;
  }

  /** Whether to tell of one now. A replica that does not hear says nothing, so that readers notice. */
  isDue(caughtUp: boolean): boolean {
    const isFirst = caughtUp && !this.#hasCaughtUp;
    if (this.#deps.auditTrail.isStale || !(isFirst || performance.now() >= this.#dueAt))
      return false;
    this.#hasCaughtUp ||= caughtUp;
    this.#putOff();
    return true;
  }

  #putOff(): void {
    this.#dueAt = performance.now() + this.#deps.limits.checkpointMs;
  }
}
