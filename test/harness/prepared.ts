import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

/** What `npm test` prepared: see test/run.ts. */
export const POSTGRES_URL = required('COUNTERSIGN_TEST_POSTGRES');
export const REDIS_URL = required('COUNTERSIGN_TEST_REDIS');
export const TEMPLATE = required('COUNTERSIGN_TEST_TEMPLATE');
export const DIRECTORY = required('COUNTERSIGN_TEST_DIRECTORY');
export const MASTER_KEY = required('COUNTERSIGN_TEST_MASTER_KEY');

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error('run the tests by `npm test` (one file: `npm test -- test/x.test.ts`)');
  return value;
}

/** An empty directory for this test. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(DIRECTORY, 'data-'));
}
