import type { Clock } from '../platform/clock.ts';
import { NewsReader } from '../platform/news.ts';
import { formatCursor, parseCursor } from './revocation-cursor.ts';
import type { RevocationFeed } from './revocation-feed.ts';
import type { SeenRevocation } from './revocation-log.ts';

/** How soon a checkpoint that had to be left out is thought of again. */
const STALE_RETRY_MS = 250;

/** How readers of the feed are served: times in milliseconds. */
type WatchLimits = { checkpointMs: number; maxWatchers: number; watcherBacklog: number };

export type RevocationWatchDeps = {
  clock: Clock;
  revocations: Pick<
    RevocationFeed,
    'log' | 'listeners' | 'isStale' | 'lookedAtMicros' | 'keptMs' | 'overlapMs' | 'lookAfresh'
  >;
  limits: WatchLimits;
};

/** What a reader is told. `cursor` is where it stands then; empty: at the beginning. */
export type WatchEvent =
  | { type: 'revocation'; cursor: string; revocation: SeenRevocation }
  | { type: 'checkpoint'; cursor: string; caughtUp: boolean }
  | { type: 'resync'; cursor: '' };

/** One reader's place in the log of revocations. */
export class RevocationWatcher {
  readonly #deps: RevocationWatchDeps;
  readonly #reader: NewsReader;
  /** The place of the last one looked at, and of the last one that was there at the beginning. */
  #seq = 0;
  #firstSeq = 0;
  /** What was there at the beginning and is not after this has been told before (microseconds). */
  #since = 0;
  /** No revocation told so far was stamped after this (microseconds). */
  #cursor = 0;
  #resync = false;
  #caughtUp = false;
  #checkpointAt = 0;

  /** Throws `OVERLOADED` where there are too many already. Whoever makes one has it `leave`. */
  constructor(deps: RevocationWatchDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#reader = new NewsReader(deps.revocations.listeners, deps.limits.maxWatchers, signal);
  }

  leave(): void {
    this.#reader.leave();
  }

  /** Goes to where a cursor leads; the replica has just looked. */
  begin(cursor: string): void {
    const { log } = this.#deps.revocations;
    const micros = cursor === '' ? 0 : this.#place(cursor);
    this.#resync = micros === undefined;
    this.#cursor = micros ?? 0;
    // Rows appear a little out of order: one from before the cursor may have come after it.
    this.#since = this.#cursor - this.#deps.revocations.overlapMs * 1000;
    this.#seq = 0;
    this.#firstSeq = log.lastSeq;
    this.#caughtUp = false;
  }

  /** The microseconds of a cursor that lies within what is kept, and not in the future. */
  #place(cursor: string): number | undefined {
    const { lookedAtMicros, keptMs } = this.#deps.revocations;
    const micros = parseCursor(cursor);
    if (micros === undefined || micros > lookedAtMicros) return undefined;
    return micros < lookedAtMicros - keptMs * 1000 ? undefined : micros;
  }

  /** What there is to tell now, if anything. */
  next(): WatchEvent | undefined {
    if (this.#resync) {
      this.#resync = false;
      return { type: 'resync', cursor: '' };
    }
    return this.#nextRevocation() ?? this.#nextCheckpoint();
  }

  #nextRevocation(): WatchEvent | undefined {
    const { clock, revocations } = this.#deps;
    const now = clock.now().getTime();
    for (;;) {
      const revocation = revocations.log.after(this.#seq);
      if (!revocation) return undefined;
      this.#seq = revocation.seq;
      const { seq, createdAtMicros, expiresAt } = revocation;
      const toldBefore = seq <= this.#firstSeq && createdAtMicros <= this.#since;
      if (toldBefore || expiresAt.getTime() <= now) continue;
      this.#cursor = Math.max(this.#cursor, createdAtMicros);
      return { type: 'revocation', cursor: formatCursor(this.#cursor), revocation };
    }
  }

  /** A replica that does not hear says nothing, so that its readers notice. */
  #nextCheckpoint(): WatchEvent | undefined {
    const { revocations, limits } = this.#deps;
    const now = performance.now();
    if ((this.#caughtUp && now < this.#checkpointAt) || revocations.isStale) return undefined;
    const caughtUp = !this.#caughtUp;
    this.#caughtUp = true;
    this.#checkpointAt = now + limits.checkpointMs;
    this.#cursor = Math.max(this.#cursor, revocations.lookedAtMicros);
    return { type: 'checkpoint', cursor: formatCursor(this.#cursor), caughtUp };
  }

  /** Resolves when there may be something to tell, or nobody to tell it to. */
  async wait(): Promise<void> {
    const dueMs = this.#checkpointAt - performance.now();
    await this.#reader.wait(this.#caughtUp && dueMs > 0 ? dueMs + 1 : STALE_RETRY_MS);
  }

  /** Has a reader begin anew who has let more pass than is kept for it. */
  noteSlow(): void {
    const { log } = this.#deps.revocations;
    const missed = log.lastSeq - Math.max(this.#seq, this.#firstSeq);
    if (missed <= this.#deps.limits.watcherBacklog) return;
    this.begin('');
    this.#resync = true;
  }
}
