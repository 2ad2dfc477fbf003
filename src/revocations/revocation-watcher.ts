import type { Caller } from '../platform/caller.ts';
import { addMs, type Clock } from '../platform/clock.ts';
import { OVERLAP_MS } from '../platform/followed-table.ts';
import { NewsReader } from '../platform/news.ts';
import { formatCursor, parseCursor } from './revocation-cursor.ts';
import type { RevocationFeed } from './revocation-feed.ts';
import type { SeenRevocation } from './revocation-log.ts';

/** How soon a checkpoint that had to be left out is tried again. */
const STALE_RETRY_MS = 250;

/** How readers of the feed are served. Times are in milliseconds. */
type WatchLimits = {
  checkpointMs: number;
  maxWatchers: number;
  watcherShare: number;
  watcherBacklog: number;
};

/** What serving readers of the feed needs. */
export type WatchParts = {
  clock: Clock;
  revocations: Pick<
    RevocationFeed,
    'log' | 'listeners' | 'isStale' | 'lookedAtMicros' | 'lookedAgoMs' | 'keptMs' | 'lookAfresh'
  >;
  limits: WatchLimits;
};

/** What a reader receives. `cursor` is its place afterwards; empty: the beginning. */
export type WatchEvent =
  | { type: 'revocation'; cursor: string; revocation: SeenRevocation }
  | { type: 'checkpoint'; cursor: string; caughtUp: boolean; asOf: Date }
  | { type: 'resync'; cursor: '' };

/** One reader's place in the log of revocations. */
export class RevocationWatcher {
  readonly #parts: WatchParts;
  readonly #reader: NewsReader;
  /** The place of the revocation looked at last, and of the last one that existed at the beginning. */
  #seq = 0;
  #firstSeq = 0;
  /** Revocations that existed at the beginning, stamped up to this, were sent before (microseconds). */
  #since = 0;
  /** No revocation sent so far was stamped after this (microseconds). */
  #cursor = 0;
  #resync = false;
  #caughtUp = false;
  #checkpointAt = 0;

  /** Throws `OVERLOADED` if there are too many readers already. Call `leave` in the end. */
  constructor(parts: WatchParts, caller: Caller) {
    const { revocations, limits } = parts;
    this.#parts = parts;
    const places = { max: limits.maxWatchers, share: limits.watcherShare };
    this.#reader = new NewsReader(revocations.listeners, places, caller);
  }

  leave(): void {
    this.#reader.leave();
  }

  /** Goes to the place of a cursor, right after the replica has looked at the table. */
  begin(cursor: string): void {
    const { log } = this.#parts.revocations;
    const micros = cursor === '' ? 0 : this.#place(cursor);
    this.#resync = micros === undefined;
    this.#cursor = micros ?? 0;
    // Rows appear a little out of order: one stamped before the cursor may have appeared after it.
    this.#since = this.#cursor - OVERLAP_MS * 1000;
    this.#seq = 0;
    this.#firstSeq = log.lastSeq;
    this.#caughtUp = false;
  }

  /** The microseconds of a cursor; undefined if it lies in the future or before what is kept. */
  #place(cursor: string): number | undefined {
    const { lookedAtMicros, keptMs } = this.#parts.revocations;
    const micros = parseCursor(cursor);
    if (micros === undefined || micros > lookedAtMicros) return undefined;
    return micros < lookedAtMicros - keptMs * 1000 ? undefined : micros;
  }

  /** The next event to send now, if there is one. */
  next(): WatchEvent | undefined {
    if (this.#resync) {
      this.#resync = false;
      return { type: 'resync', cursor: '' };
    }
    return this.#nextRevocation() ?? this.#nextCheckpoint();
  }

  #nextRevocation(): WatchEvent | undefined {
    const { clock, revocations } = this.#parts;
    const now = clock.now().getTime();
    for (;;) {
      const revocation = revocations.log.after(this.#seq);
      if (!revocation) return undefined;
      this.#seq = revocation.seq;
      const { seq, createdAtMicros, expiresAt } = revocation;
      const wasSent = seq <= this.#firstSeq && createdAtMicros <= this.#since;
      if (wasSent || expiresAt.getTime() <= now) continue;
      this.#cursor = Math.max(this.#cursor, createdAtMicros);
      return { type: 'revocation', cursor: formatCursor(this.#cursor), revocation };
    }
  }

  /** Undefined also while this replica does not follow the table, so that its readers notice. */
  #nextCheckpoint(): WatchEvent | undefined {
    const { clock, revocations, limits } = this.#parts;
    const now = performance.now();
    if ((this.#caughtUp && now < this.#checkpointAt) || revocations.isStale) return undefined;
    const caughtUp = !this.#caughtUp;
    this.#caughtUp = true;
    this.#checkpointAt = now + limits.checkpointMs;
    this.#cursor = Math.max(this.#cursor, revocations.lookedAtMicros);
    const asOf = addMs(clock.now(), -revocations.lookedAgoMs);
    return { type: 'checkpoint', cursor: formatCursor(this.#cursor), caughtUp, asOf };
  }

  /** Resolves when there may be an event to send, or when the reader has gone. */
  async wait(): Promise<void> {
    const dueMs = this.#checkpointAt - performance.now();
    await this.#reader.wait(this.#caughtUp && dueMs > 0 ? dueMs + 1 : STALE_RETRY_MS);
  }

  /** Makes a reader start again if it has fallen behind by more than is kept for it. */
  noteSlow(): void {
    const { log } = this.#parts.revocations;
    const missed = log.lastSeq - Math.max(this.#seq, this.#firstSeq);
    if (missed <= this.#parts.limits.watcherBacklog) return;
    this.begin('');
    this.#resync = true;
  }
}
