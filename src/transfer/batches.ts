import { type Incoming, keysOf } from './import-row.ts';

/** Rows that are written in one transaction, at most: it ends well within the shortest time limit. */
const BATCH = 500;
/** How long a batch waits for another row: whoever sends one at a time is to have its answer. */
const PAUSE_MS = 25;

/**
 * Rows in batches, read no faster than the batches are taken. A row that names the same account as one
 * before it begins a batch of its own, so that it finds what the other has made.
 */
export async function* batches(rows: AsyncIterable<Incoming>): AsyncGenerator<Incoming[]> {
  const reading = rows[Symbol.asyncIterator]();
  let next = reading.next();
  try {
    for (let first = await next; !first.done; first = await next) {
      next = readOn(reading);
      const batch = [first.value];
      const keys = new Set(keysOf(first.value));
      const pause = pauseOf(PAUSE_MS);
      while (batch.length < BATCH) {
        // What failed is told once the rows before it have been written.
        const got = await Promise.race([next.catch(() => undefined), pause.over]);
        if (!got || got.done || !addAll(keys, keysOf(got.value))) break;
        batch.push(got.value);
        next = readOn(reading);
      }
      pause.cancel();
      yield batch;
    }
  } finally {
    // Not awaited: it ends when what it waits for does.
    void reading.return?.();
  }
}

/** Has the next item made while this one is being worked on: one, and no more. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const making = items[Symbol.asyncIterator]();
  let next = making.next();
  try {
    for (let item = await next; !item.done; item = await next) {
      next = readOn(making);
      yield item.value;
    }
  } finally {
    void making.return?.();
  }
}

/** What goes wrong is told when it is awaited, which may be later. */
function readOn<T>(reading: AsyncIterator<T>): Promise<IteratorResult<T>> {
  const next = reading.next();
  next.catch(() => {});
  return next;
}

/** Adds them all, or none of them where one is there. */
function addAll(keys: Set<string>, more: readonly string[]): boolean {
  if (more.some((key) => keys.has(key))) return false;
  for (const key of more) keys.add(key);
  return true;
}

function pauseOf(ms: number): { over: Promise<undefined>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  return { over: promise, cancel: () => clearTimeout(timer) };
}
