import type { Caller } from '../platform/caller.ts';
import { NewsReader } from '../platform/news.ts';
import { formatCursor } from './audit-cursor.ts';
import type { AuditFilters } from './audit-filters.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { ChainedEvent } from './read-chain.ts';

/** How soon a skipped checkpoint is considered again. */
const STALE_RETRY_MS = 250;

type Needs = {
  auditTrail: AuditTrail;
  /** How often a reader gets a checkpoint (ms), and how many readers there and of one caller may be. */
  limits: { checkpointMs: number; maxAuditWatchers: number; watcherShare: number };
};

/** What a reader gets. `cursor` is the reader's place afterwards; empty at the beginning. */
export type AuditNews =
  | { type: 'event'; cursor: string; event: ChainedEvent }
  | { type: 'checkpoint'; cursor: string; caughtUp: boolean }
  | { type: 'resync'; cursor: '' };

/**
 * Streams the events of the chain until the caller has gone: those after `cursor`, then new ones, each
 * once (E01). A cursor that the chain does not have is answered by `resync` and then everything that is
 * kept.
 *
 * It reads a page once the reader has taken the previous one: a slow reader costs one page of memory.
 * Throws `OVERLOADED` if this replica has as many readers as it accepts, in all or of this caller, and
 * `DEPENDENCY_UNAVAILABLE` if the database can't be read.
 */
export async function* watchAuditEvents(
  needs: Needs,
  caller: Caller,
  { filters, cursor }: { filters: AuditFilters; cursor: string },
): AsyncGenerator<AuditNews> {
  const { auditTrail, limits } = needs;
  const { signal } = caller;
  const places = { max: limits.maxAuditWatchers, share: limits.watcherShare };
  const reader = new NewsReader(auditTrail.listeners, places, caller);
  const checkpoints = new Checkpoints(needs);
  try {
    await auditTrail.look();
    let place = await auditTrail.placeOf(cursor);
    while (!signal.aborted) {
      // Only a restored database has a chain that ends before the reader's place.
      if (place && auditTrail.headPosition < place.position) {
        place = await auditTrail.placeOf(formatCursor(place));
      }
      if (!place) {
        yield { type: 'resync', cursor: '' };
        checkpoints.restart();
        place = await auditTrail.placeOf('');
        continue;
      }
      if (auditTrail.headPosition > place.position) {
        const page = await auditTrail.pageAfter(place, filters);
        for (const event of page.events) {
          yield { type: 'event', cursor: formatCursor(event), event };
        }
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

/** Decides when a reader gets a checkpoint: once it has caught up, and every few seconds after that. */
class Checkpoints {
  readonly #needs: Needs;
  #hasCaughtUp = false;
  #dueAt = 0;

  constructor(needs: Needs) {
    this.#needs = needs;
    this.#putOff();
  }

  /** The time (ms) until the next one, or until a skipped one is considered again. */
  get dueMs(): number {
    const ms = this.#dueAt - performance.now();
    return ms > 0 ? ms + 1 : STALE_RETRY_MS;
  }

  restart(): void {
    this.#hasCaughtUp = false;
  }

  /** Returns whether one is due now. A stale replica sends none, so that its readers notice. */
  isDue(caughtUp: boolean): boolean {
    const isFirst = caughtUp && !this.#hasCaughtUp;
    if (this.#needs.auditTrail.isStale || !(isFirst || performance.now() >= this.#dueAt))
      return false;
    this.#hasCaughtUp ||= caughtUp;
    this.#putOff();
    return true;
  }

  #putOff(): void {
    this.#dueAt = performance.now() + this.#needs.limits.checkpointMs;
  }
}
