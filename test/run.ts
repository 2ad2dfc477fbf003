import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import pg from 'pg';
import { readConfig } from '../src/config.ts';
import { createLog } from '../src/platform/log.ts';
import { migrate, openDatabase } from '../src/schema.ts';
import { postgres, redis } from './servers.ts';

/**
 * Runs the tests: all, or the files and folders named. Starts one PostgreSQL and one Redis for all of
 * them, and a migrated database that each test file clones. The last test searches the logs that the
 * others left for the secrets that they used.
 */
const LOG_SEARCH = 'test/platform/logged-secrets.test.ts';
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64');

const named = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const patterns = named.map((name) => (name.endsWith('.ts') ? name : `${name}/**/*.test.ts`));
const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts').sort();

/** Of one file. Who names files may have told them to do everything a thousand times. */
const TIMEOUT_MS = named.length > 0 ? 3_600_000 : 300_000;

const directory = mkdtempSync(join(tmpdir(), 'countersign-test-'));
const servers = [await postgres({ fsync: 'off' }), await redis()] as const;
let passed = 0;
let failed = 0;
let skipped = 0;

try {
  const template = `countersign_template_${process.pid}`;
  await createTemplate(servers[0].url, template);
  Object.assign(process.env, {
    COUNTERSIGN_TEST_POSTGRES: servers[0].url,
    COUNTERSIGN_TEST_REDIS: servers[1].url,
    COUNTERSIGN_TEST_TEMPLATE: template,
    COUNTERSIGN_TEST_DIRECTORY: directory,
    COUNTERSIGN_TEST_MASTER_KEY: MASTER_KEY,
  });
  await runFiles(files.filter((file) => file !== LOG_SEARCH));
  if (files.includes(LOG_SEARCH)) await runFiles([LOG_SEARCH]);
  await drop(servers[0].url, template);
} finally {
  for (const server of servers) await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

process.stdout.write(
  `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
);
process.exit(failed > 0 || passed === 0 ? 1 : 0);

async function runFiles(paths: string[]): Promise<void> {
  const stream = run({ files: paths, concurrency: 2, timeout: TIMEOUT_MS });
  const count = (change: () => void) => (event: { details: { type?: string }; skip?: unknown }) => {
    if (event.details.type === 'suite') return;
    if (event.skip) skipped += 1;
    else change();
  };
  stream.on(
    'test:pass',
    count(() => passed++),
  );
  stream.on(
    'test:fail',
    count(() => failed++),
  );
  stream.compose(spec).pipe(process.stdout, { end: false });
  await new Promise((resolve) => stream.once('end', resolve));
}

async function createTemplate(url: string, name: string): Promise<void> {
  await admin(url, `create database ${name}`);
  const config = readConfig(
    { DATABASE_URL: new URL(name, url).href, COUNTERSIGN_MASTER_KEY: MASTER_KEY },
    () => '',
  );
  const database = await openDatabase(config, createLog('error'), { forMigration: true });
  await migrate(database);
  await database.close();
}

async function drop(url: string, name: string): Promise<void> {
  await admin(url, `drop database if exists ${name} with (force)`);
}

async function admin(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}
