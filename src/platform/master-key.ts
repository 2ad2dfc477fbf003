import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { databaseDirectory } from './database-engine.ts';
import { lockDirectory } from './directory-lock.ts';

const KEY_BYTES = 32;

/**
 * Returns the master key of the embedded default. The first call makes it, in a file that only this user
 * can read; if several processes do so at once, the first one's key stays. A crash leaves the whole file
 * or none.
 */
export async function masterKeyIn(dataDir: string): Promise<ReadonlyMap<number, Buffer>> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'master.key');
  if (isMissing(dataDir, path)) {
    const unlock = await lockDirectory(dataDir);
    try {
      if (isMissing(dataDir, path)) make(dataDir, path);
    } finally {
      unlock();
    }
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64');
  if (key.length !== KEY_BYTES) {
    throw new Error(
      `${path} does not hold ${KEY_BYTES} bytes in base64; put it back from a copy, since nothing else opens what is stored`,
    );
  }
  return new Map([[1, key]]);
}

/**
 * An empty file counts as none, unless there is a database: then something may be sealed under the key
 * that it held.
 */
function isMissing(dataDir: string, path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  return !file || (file.size === 0 && !existsSync(databaseDirectory(dataDir)));
}

/** Writes the file aside and puts it in place when it is on the disk. Needs the directory's lock. */
function make(dataDir: string, path: string): void {
  const aside = `${path}.new`;
  const text = `${randomBytes(KEY_BYTES).toString('base64')}\n`;
  writeFileSync(aside, text, { mode: 0o600, flush: true });
  renameSync(aside, path);
  const directory = openSync(dataDir, 'r');
  fsyncSync(directory);
  closeSync(directory);
}
