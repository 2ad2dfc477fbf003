import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long (ms) a starter waits for a process that is ending, and for one that starts with it. */
const WAIT_MS = 1000;
const RETRY_MS = 50;
const SQLITE_BUSY = 5;

/** Another running process holds the data directory. */
class DataDirectoryInUse extends Error {
  constructor(directory: string) {
    super(
      `the data directory ${directory} is in use by another Countersign process; end that one first, or give this one another COUNTERSIGN_DATA_DIR`,
    );
    this.name = 'DataDirectoryInUse';
  }
}

/**
 * Holds a data directory for this process alone, by a lock of the system on the file `lock` in it. The
 * system ends the lock with the process, however that ends, so the file itself stays and says nothing.
 * Node takes such locks only through SQLite, of which nothing else is used. Nothing else in this process
 * may open the file: on POSIX systems, closing it would end the lock.
 *
 * Returns the function that releases it. Throws `DataDirectoryInUse` if another process has it.
 */
export async function lockDirectory(directory: string): Promise<() => void> {
  // Imported only here: a replica on PostgreSQL doesn't need it, and Node 22 warns of it.
  const { DatabaseSync } = await import('node:sqlite');
  const path = join(directory, 'lock');
  const file = new DatabaseSync(path, { open: false });
  try {
    file.open();
    chmodSync(path, 0o600);
    await lock(file);
  } catch (error) {
    if (file.isOpen) file.close();
    if (isBusy(error)) throw new DataDirectoryInUse(directory);
    const { message } = error as Error;
    throw new Error(`the data directory ${directory} can't be locked: ${message}`, {
      cause: error,
    });
  }
  return () => file.close();
}

/** Two that try at the same moment may both fail: they try again after different waits. */
async function lock(file: DatabaseSync): Promise<void> {
  for (const end = Date.now() + WAIT_MS; ; ) {
    try {
      return file.exec('begin exclusive');
    } catch (error) {
      if (!isBusy(error) || Date.now() > end) throw error;
      await sleep(RETRY_MS * Math.random());
    }
  }
}

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_BUSY;
}
