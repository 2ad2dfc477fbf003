import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { readConfig } from '../src/config.ts';
import { createLog } from '../src/platform/log.ts';
import { migrate, openDatabase } from '../src/schema.ts';
import { Watchman } from './runner/processes.ts';
import { type BatchResult, runFiles } from './runner/run-files.ts';
import { postgres, redis } from './servers.ts';

/**
 * Runs the tests: all, or the files and folders named; with `--long` those that can be run any number of
 * times, as often as the promises say. Starts one PostgreSQL and one Redis for all of them, and a
 * migrated database that each test file clones. The last test searches the logs that the others left for
 * the secrets that they used.
 */
const LOG_SEARCH = 'test/platform/logged-secrets.test.ts';
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64');
const HOUR_MS = 3_600_000;

const isLong = process.argv.includes('--long');
/** Processes at once: tests that wait leave room for others. What is long has the machine for itself. */
const CONCURRENCY = isLong ? 1 : availableParallelism() + 3;
const named = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const patterns = named.map((name) => (name.endsWith('.ts') ? name : `${name}/**/*.test.ts`));
const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts')
  .sort()
  .filter((file) => !isLong || readFileSync(file, 'utf8').includes('/harness/scale.ts'));

/** Of one file. Files that are named may have been told to do everything a thousand times. */
const LIMIT_MS = isLong ? 3 * HOUR_MS : named.length > 0 ? HOUR_MS : 240_000;

// What tests start as a process of its own is the program that people run.
const bundle = ['deploy/bundle.ts', '--if-changed'];
if (spawnSync(process.execPath, bundle, { stdio: 'inherit' }).status !== 0) process.exit(1);

const directory = mkdtempSync(join(tmpdir(), 'countersign-test-'));
const watchman = new Watchman();
const servers = [await postgres({ fsync: 'off' }), await redis()] as const;
for (const { pid } of servers) if (pid !== undefined) watchman.watch(pid);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => interrupted.abort());
}

const results: BatchResult[] = [];
try {
  const template = `countersign_template_${process.pid}`;
  await createTemplate(servers[0].url, template);
  const options = {
    limitMs: LIMIT_MS,
    concurrency: CONCURRENCY,
    watchman,
    signal: interrupted.signal,
    env: {
      COUNTERSIGN_TEST_POSTGRES: servers[0].url,
      COUNTERSIGN_TEST_REDIS: servers[1].url,
      COUNTERSIGN_TEST_TEMPLATE: template,
      COUNTERSIGN_TEST_DIRECTORY: directory,
      COUNTERSIGN_TEST_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_TEST_LONG: isLong ? '1' : '',
      NODE_COMPILE_CACHE: join(process.cwd(), 'node_modules/.cache/node-compile-cache'),
    },
    print: (text: string) => process.stdout.write(text),
    ...(isLong ? { filesPerProcess: 1 } : {}),
  };
  const others = files.filter((file) => file !== LOG_SEARCH);
  results.push(...(await runFiles(others, options)));
  if (files.includes(LOG_SEARCH)) results.push(...(await runFiles([LOG_SEARCH], options)));
  await admin(servers[0].url, `drop database if exists ${template} with (force)`);
} finally {
  for (const server of servers) await server.stop();
  watchman.stop();
  // Disks that a test mounted and could not unmount, because it was killed.
  spawnSync('sh', ['-c', 'umount -l "$0"/data-*', directory], { stdio: 'ignore' });
  rmSync(directory, { recursive: true, force: true });
}

const all = results.flatMap((result) => result.files);
const sum = (count: 'passed' | 'failed' | 'skipped') =>
  all.reduce((total, result) => total + result[count], 0);
const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')];
for (const { file } of all.filter((result) => result.failed > 0)) {
  process.stdout.write(`\n✖ ${file}`);
}
process.stdout.write(
  `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
);
process.exit(failed > 0 || passed === 0 ? 1 : 0);

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

async function admin(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}
