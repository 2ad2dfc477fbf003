import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseDirectory } from '../platform/database-engine.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

const MIB = 1024 * 1024;

export const EMBEDDED = {
  'embedded.ok': { state: 'ok', says: 'the embedded database in {directory}, {free} MiB free' },
  'embedded.new': {
    state: 'ok',
    says: 'there is no embedded database in {directory} yet: the first start makes one',
  },
  'embedded.full': {
    state: 'failure',
    says: 'the disk of {directory} has {free} MiB left: nothing is written below {least}',
    todo: 'make room, or lower COUNTERSIGN_EMBEDDED_MIN_FREE',
  },
  'embedded.no_key': {
    state: 'failure',
    says: '{file} is missing, and nothing else opens what the database holds',
    todo: 'put it back from a copy before you start the service',
  },
} as const satisfies Sentences;

const say = findings(EMBEDDED);

/** What can be said of the embedded database without opening it, which belongs to one process. */
export async function checkEmbedded(directory: string, leastBytes: number): Promise<Finding[]> {
  if (!existsSync(databaseDirectory(directory))) return [say('embedded.new', { directory })];
  const { bavail, bsize } = await statfs(directory);
  const free = Math.floor((bavail * bsize) / MIB);
  const file = join(directory, 'master.key');
  const found: Finding[] = existsSync(file) ? [] : [say('embedded.no_key', { file })];
  if (bavail * bsize < leastBytes) {
    found.push(say('embedded.full', { directory, free, least: leastBytes / MIB }));
  }
  return found.length > 0 ? found : [say('embedded.ok', { directory, free })];
}
