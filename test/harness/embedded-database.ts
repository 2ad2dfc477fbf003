import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { migrate, openDatabase } from '../../src/schema.ts';
import { eventually } from './eventually.ts';
import { DIRECTORY, temporaryDirectory } from './prepared.ts';

const TEMPLATE = join(DIRECTORY, 'embedded');
const MADE = `${TEMPLATE}.made`;
const MAKING_MS = 120_000;

/**
 * A data directory with a migrated embedded database in which nobody has an account. It is a copy of one
 * that the first caller makes: making one takes seconds.
 */
export async function embeddedDirectory(directory = temporaryDirectory()): Promise<string> {
  if (begin()) {
    const config = readConfig({ COUNTERSIGN_DATA_DIR: TEMPLATE }, () => '');
    const database = await openDatabase(config, createLog('error'), { forMigration: true });
    await migrate(database);
    await database.close();
    writeFileSync(MADE, '');
  }
  await eventually(() => existsSync(MADE), MAKING_MS);
  cpSync(TEMPLATE, directory, { recursive: true });
  return directory;
}

/** Whether no one has begun to make it. */
function begin(): boolean {
  try {
    mkdirSync(TEMPLATE);
    return true;
  } catch {
    return false;
  }
}
