import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { ahead, batches } from './batches.ts';
import { importBatch } from './import-batch.ts';
import type { ImportSettings, Incoming, RowResult } from './import-row.ts';

const ATTEMPTS = 3;
const RETRY_AFTER_MS = 200;
/** Two transactions took the same external id for different accounts. */
const UNIQUE_VIOLATION = '23505';

/**
 * Imports any number of accounts in constant memory: reads a batch, commits it, and only then yields
 * what became of its rows, so that what was yielded is permanent. Each account has its audit event in
 * the transaction that writes it (E01), under the caller's request id. Repeated, from the beginning
 * or from anywhere, an import writes what is missing and nothing twice. It sends no mail.
 *
 * Throws `PERMISSION_DENIED` and `TOKEN_REVOKED` as soon as the caller may not continue, and
 * `DEPENDENCY_UNAVAILABLE` if the database is away for longer than a moment.
 */
export async function* importUsers(
  { database }: { database: Database },
  caller: Caller,
  rows: AsyncIterable<Incoming>,
  settings: ImportSettings,
): AsyncGenerator<RowResult[]> {
  for await (const batch of ahead(batches(rows))) {
    yield await withRetries(caller.signal, () =>
      database.transaction(caller, (tx) => importBatch(tx, batch, settings)),
    );
  }
}

/**
 * Repeats work that failed for a passing reason. If an attempt that seemed to fail had committed, the
 * next one finds its rows unchanged.
 */
async function withRetries<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || signal.aborted || !isPassing(error)) throw error;
      await sleep(attempt * RETRY_AFTER_MS);
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof Failure) return error.kind === 'unavailable';
  return (error as { code?: unknown } | undefined)?.code === UNIQUE_VIOLATION;
}
