import { type Incoming, keysOf } from './import-row.ts';

/** Rows written in one transaction, at most, so that it ends well within the shortest time limit. */
const BATCH = 500;
/** How long a batch waits for another row, so that a client that sends single rows gets its answers. */
const PAUSE_MS = 25;

/**
 * Groups rows into batches, and reads them no faster than the batches are taken. A row that names the
 * same account as an earlier row of the batch begins the next batch, so that it finds what that row
 * wrote.
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
        // An error is thrown once the rows before it have been written.
        const got = await Promise.race([next.catch(() => undefined), pause.over]);
        if (!got || got.done || !addAll(keys, keysOf(got.value))) break;
        batch.push(got.value);
        next = readOn(reading);
      }
      pause.cancel();
      yield batch;
    }
  } finally {
    // Not awaited: it may only end with a row that is still awaited.
    void reading.return?.();
  }
}

/** Prepares the next item while this one is being worked on: one item, and no more. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const preparing = items[Symbol.asyncIterator]();
  let next = preparing.next();
  try {
    for (let item = await next; !item.done; item = await next) {
      next = readOn(preparing);
      yield item.value;
    }
  } finally {
    void preparing.return?.();
  }
}

/** Starts to read on. An error is thrown when the result is awaited, which may be later. */
function readOn<T>(reading: AsyncIterator<T>): Promise<IteratorResult<T>> {
  const next = reading.next();
  next.catch(() => {});
  return next;
}

/** Adds all keys, or none of them if one is there already. Returns whether it did. */
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
