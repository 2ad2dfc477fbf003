import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PGliteInterface } from '@electric-sql/pglite';
import type { DatabaseOptions, Engine } from './database-engine.ts';
import { errorFields } from './log.ts';

const FREE_SPACE_CHECK_MS = 1000;

/** Another running process holds the data directory. */
class DataDirectoryInUse extends Error {
  constructor(path: string) {
    super(`the data directory ${path} is in use by another Countersign process`);
    this.name = 'DataDirectoryInUse';
  }
}

/**
 * Opens PostgreSQL in this process (PGlite) on the files in `dataDir/postgres`, for one process at a
 * time. While the disk has less than `minFreeBytes` left, the database is read-only.
 *
 * Throws `DataDirectoryInUse` if another process has it open.
 */
export async function openEmbedded(options: DatabaseOptions): Promise<Engine> {
  const directory = join(options.dataDir, 'postgres');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(directory);
  // Imported only here: 25 MB of WebAssembly that a replica on PostgreSQL does not need.
  const { PGlite } = await import('@electric-sql/pglite');
  const { pg_trgm } = await import('@electric-sql/pglite/contrib/pg_trgm');
  const { PgliteDriver } = await import('@mikro-orm/pglite');
  const pglite = await PGlite.create(directory, { extensions: { pg_trgm } });
  const guard = guardFreeSpace(directory, pglite, options);
  return {
    kind: 'embedded',
    options: { driver: PgliteDriver, dbName: directory, driverOptions: { pglite } },
    setUrl: () => {},
    async script(sql, parameters) {
      if (parameters.length > 0) return pglite.query<unknown>(sql, parameters);
      return { rows: (await pglite.exec(sql)).flatMap((result) => result.rows) };
    },
    async release() {
      clearInterval(guard);
      await pglite.close();
      await new Promise((resolve) => lock.close(resolve));
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

/**
 * Holds the directory by listening on a socket named after it: the system releases it with the process,
 * however that ends. The socket is in the temporary directory, since its path must be short.
 */
async function lockDirectory(directory: string): Promise<Server> {
  const digest = createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 16);
  const path = join(tmpdir(), `countersign-${digest}.sock`);
  const server = createServer((socket) => socket.destroy());
  server.unref();
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(path, resolve);
    });
  try {
    await listen();
  } catch {
    if (await answers(path)) throw new DataDirectoryInUse(directory);
    rmSync(path, { force: true });
    await listen();
  }
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
