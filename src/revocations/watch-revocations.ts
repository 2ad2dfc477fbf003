import type { Caller } from '../platform/caller.ts';
import { RevocationWatcher, type WatchEvent, type WatchParts } from './revocation-watcher.ts';

/** A reader that takes this long over one event may have fallen too far behind. */
const SLOW_MS = 1000;

/**
 * Yields every revocation until the caller has gone: first those in force, or those after `cursor`, then new
 * ones as they come (S09). An invalid cursor is answered with `resync` and everything in force.
 *
 * Each event is made when its reader asks for it, from what the replica knows then; between reads a
 * reader costs one place in the log. Throws `OVERLOADED` if the replica has as many readers as it
 * accepts, in all or of this caller, and `DEPENDENCY_UNAVAILABLE` if it can't read the table to begin with.
 */
export async function* watchRevocations(
  needs: WatchParts,
  caller: Caller,
  cursor: string,
): AsyncGenerator<WatchEvent> {
  const watcher = new RevocationWatcher(needs, caller);
  const { signal } = caller;
  try {
    await needs.revocations.lookAfresh();
    watcher.begin(cursor);
    while (!signal.aborted) {
      const event = watcher.next();
      if (!event) {
        await watcher.wait();
        continue;
      }
      const sentAt = performance.now();
      yield event;
      if (performance.now() - sentAt > SLOW_MS) watcher.noteSlow();
    }
  } finally {
    watcher.leave();
  }
}
