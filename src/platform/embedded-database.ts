import { existsSync, mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { PGliteInterface } from '@electric-sql/pglite';
import { type DatabaseOptions, databaseDirectory, type Engine } from './database-engine.ts';
import { lockDirectory } from './directory-lock.ts';
import { VERSION_FILE, writeEmptyDatabase } from './empty-database.ts';
import { errorFields } from './log.ts';

const FREE_SPACE_CHECK_MS = 1000;
/** PostgreSQL keeps what it reads a second time: the system keeps it already. By default it takes 128 MB. */
const SETTINGS = ['-c', 'shared_buffers=8MB'];

/**
 * Opens PostgreSQL in this process (PGlite) on the files in `dataDir/postgres`, for one process at a
 * time. While the disk has less than `minFreeBytes` left, the database is read-only.
 *
 * Throws `DataDirectoryInUse` if another process has it open.
 */
export async function openEmbedded(options: DatabaseOptions): Promise<Engine> {
  const directory = databaseDirectory(options.dataDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = await lockDirectory(options.dataDir);
  // Imported only here: 25 MB of WebAssembly that a replica on PostgreSQL does not need.
  const { PGlite } = await import('@electric-sql/pglite');
  const { pg_trgm } = await import('@electric-sql/pglite/contrib/pg_trgm');
  const { PgliteDriver } = await import('@mikro-orm/pglite');
  if (!existsSync(join(directory, VERSION_FILE))) await writeEmptyDatabase(directory);
  const pglite = await PGlite.create(directory, {
    extensions: { pg_trgm },
    startParams: [...PGlite.defaultStartParams, ...SETTINGS],
  });
  const guard = guardFreeSpace(directory, pglite, options);
  return {
    kind: 'embedded',
    options: { driver: PgliteDriver, dbName: directory, driverOptions: { pglite } },
    opened: async () => {},
    transactionLimits: () => undefined,
    setUrl: () => {},
    pools: () => [],
    async script(sql, parameters) {
      if (parameters.length > 0) return pglite.query<unknown>(sql, parameters);
      return { rows: (await pglite.exec(sql)).flatMap((result) => result.rows) };
    },
    async release() {
      clearInterval(guard);
      await pglite.close();
      unlock();
    },
  };
}

/** Makes new transactions read-only while the disk has too little room for writes to be safe. */
function guardFreeSpace(
  directory: string,
  pglite: PGliteInterface,
  options: DatabaseOptions,
): NodeJS.Timeout {
  let writable = true;
  const check = async () => {
    const disk = await statfs(directory);
    const enough = disk.bavail * disk.bsize >= options.minFreeBytes;
    if (enough === writable || pglite.closed) return;
    await pglite.exec(`set default_transaction_read_only = ${enough ? 'off' : 'on'}`);
    writable = enough;
    const message = writable ? 'the disk has room again' : 'the disk is nearly full: read-only';
    options.log.warn({ component: 'database', writable }, message);
  };
  const checkAndLog = () =>
    check().catch((error) => {
      options.log.warn({ component: 'database', ...errorFields(error) }, 'disk check failed');
    });
  return setInterval(checkAndLog, FREE_SPACE_CHECK_MS).unref();
}
