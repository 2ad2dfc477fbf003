import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** The file that makes a directory a database. */
export const VERSION_FILE = 'PG_VERSION';
/** Headers and contents in an archive fill whole blocks (POSIX `ustar`). */
const BLOCK = 512;
const DIRECTORY_TYPE = '5';

/**
 * Writes what `initdb` makes: to run it takes two seconds, and memory that is never given back. The file
 * that makes it a database comes last and complete, so that a crash before leaves nothing that the next
 * start takes for one (W05): it writes everything again.
 */
export async function writeEmptyDatabase(directory: string): Promise<void> {
  const { dataDir } = await import('@electric-sql/pglite-prepopulatedfs');
  const archive = await promisify(gunzip)(await (await dataDir()).arrayBuffer());
  const unfinished = `${VERSION_FILE}.new`;
  for (const { name, isDirectory, content } of entriesOf(archive)) {
    const path = join(directory, name);
    if (isDirectory) mkdirSync(path, { recursive: true, mode: 0o700 });
    else {
      const isVersion = path === join(directory, VERSION_FILE);
      writeFileSync(isVersion ? join(directory, unfinished) : path, content, { mode: 0o600 });
    }
  }
  renameSync(join(directory, unfinished), join(directory, VERSION_FILE));
}

/** The files and directories in an archive, each directory before what is in it. */
function* entriesOf(archive: Buffer) {
  for (let at = 0; at < archive.length && archive[at] !== 0; ) {
    const field = (from: number, length: number) =>
      archive.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12), 8);
    const from = at + BLOCK;
    yield {
      name: field(0, 100),
      isDirectory: field(156, 1) === DIRECTORY_TYPE,
      content: archive.subarray(from, from + size),
    };
    at = from + Math.ceil(size / BLOCK) * BLOCK;
  }
}
