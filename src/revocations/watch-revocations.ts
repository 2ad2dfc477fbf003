import {
  type RevocationWatchDeps,
  RevocationWatcher,
  type WatchEvent,
} from './revocation-watcher.ts';

/** A reader who took this long over one event, and has fallen behind, has missed the rest. */
const SLOW_MS = 1000;

/**
 * Tells of every revocation for as long as `signal` lets it: what is in force, or what came after
 * `cursor`, then what comes (S09). A cursor that leads nowhere is answered with `resync` and
 * everything in force.
 *
 * Each event is made when its reader asks for it, from what the replica knows then; between reads a
 * reader costs one place in the log. Throws `OVERLOADED` where the replica has as many readers as it
 * takes, and `DEPENDENCY_UNAVAILABLE` where it can't get a fresh look at the table to begin with.
 */
export async function* watchRevocations(
  deps: RevocationWatchDeps,
  cursor: string,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  const watcher = new RevocationWatcher(deps, signal);
  try {
    await deps.revocations.lookAfresh();
    watcher.begin(cursor);
    while (!signal.aborted) {
      const event = watcher.next();
      if (!event) {
        await watcher.wait();
        continue;
      }
      const toldAt = performance.now();
      yield event;
      if (performance.now() - toldAt > SLOW_MS) watcher.noteSlow();
    }
  } finally {
    watcher.leave();
  }
}
