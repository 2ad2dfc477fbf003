import { withinTimeLimit } from '../platform/time-limit.ts';

/** How long (ms) an answer counts: whoever scrapes more often costs the database nothing more. */
const FRESH_MS = 5000;
/** How long (ms) a scrape waits for the database. */
const LIMIT_MS = 1000;

/** Asks at most once in five seconds, and waits one second at most. */
export function remembered<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  let askedAt = 0;
  return () => {
    if (!asked || performance.now() - askedAt > FRESH_MS) {
      askedAt = performance.now();
      asked = withinTimeLimit(LIMIT_MS, undefined, ask);
    }
    return asked;
  };
}
