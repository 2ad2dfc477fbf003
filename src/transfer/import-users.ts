import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { ahead, batches } from './batches.ts';
import { type ImportDeps, type ImportSettings, importBatch } from './import-batch.ts';
import type { Incoming, RowResult } from './import-row.ts';

export type { ImportDeps, ImportSettings } from './import-batch.ts';

const ATTEMPTS = 3;
const RETRY_AFTER_MS = 200;
/** Two transactions took the same external id for different accounts. */
const UNIQUE_VIOLATION = '23505';

/**
 * Imports any number of accounts in constant memory: reads a batch, commits it, and only then tells what
 * became of its rows, so that what was told stays. Each account has its audit event in the transaction
 * that wrote it (E01). Sent again, from the beginning or from anywhere, it writes what is missing and
 * nothing twice. No mail is sent.
 *
 * Throws `PERMISSION_DENIED` and `TOKEN_REVOKED` as soon as the importer may not go on, and
 * `DEPENDENCY_UNAVAILABLE` where the database is away for longer than a moment.
 */
export async function* importUsers(
  deps: ImportDeps,
  caller: Caller,
  rows: AsyncIterable<Incoming>,
  settings: ImportSettings,
): AsyncGenerator<RowResult[]> {
  for await (const batch of ahead(batches(rows))) {
    yield await patiently(caller, () =>
      deps.database.transaction(
        (em) => importBatch(em, deps, caller, batch, settings),
        caller.signal,
      ),
    );
  }
}

/** A moment's trouble does not end an import. What had been committed nevertheless is unchanged then. */
async function patiently<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || caller.signal.aborted || !isPassing(error)) throw error;
      await sleep(attempt * RETRY_AFTER_MS);
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof Failure) return error.kind === 'unavailable';
  return (error as { code?: unknown } | undefined)?.code === UNIQUE_VIOLATION;
}
