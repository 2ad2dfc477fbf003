import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { atEnd } from './harness/at-end.ts';
import { eventually } from './harness/eventually.ts';
import { lacking, type Program, startProgram } from './program.ts';
import { freePort } from './servers.ts';

const PASSWORD = 'test-patroni-password';
/** Patroni and PostgreSQL don't run as root: `nobody`. */
const UID = process.getuid?.() === 0 ? 65_534 : undefined;
/** Where Debian has the programs of a server, the newest version last. */
const DEBIAN = '/usr/lib/postgresql';

function binaries(): string | undefined {
  const versions = existsSync(DEBIAN)
    ? readdirSync(DEBIAN).sort((a, b) => Number(a) - Number(b))
    : [];
  const directories = versions.map((version) => join(DEBIAN, version, 'bin'));
  return directories.findLast((directory) => existsSync(join(directory, 'pg_rewind')));
}

/** Why tests with Patroni are skipped, if they are. */
export function lackingPatroni(): string | false {
  const missing = lacking('patroni', 'etcd', 'haproxy');
  return (
    missing ||
    (!binaries() && 'needs a PostgreSQL server of Debian, for pg_basebackup and pg_rewind')
  );
}

/** One of the two nodes: Patroni and the PostgreSQL that it runs. */
export class PatroniNode {
  readonly name: string;
  readonly port: number;
  readonly api: number;
  readonly #directory: string;
  #program: Program | undefined;

  constructor(name: string, directory: string, port: number, api: number) {
    this.name = name;
    this.port = port;
    this.api = api;
    this.#directory = directory;
  }

  configure(etcd: number): void {
    mkdirSync(this.#directory);
    const address = (port: number) => `127.0.0.1:${port}`;
    const of = (port: number) => ({ listen: address(port), connect_address: address(port) });
    const account = (username: string) => ({ username, password: PASSWORD });
    const config = {
      scope: 'countersign',
      name: this.name,
      restapi: of(this.api),
      etcd3: { host: address(etcd) },
      bootstrap: {
        // The least that Patroni accepts: 20 s without a leader's word, and another takes over.
        dcs: {
          ttl: 20,
          loop_wait: 1,
          retry_timeout: 3,
          synchronous_mode: true,
          postgresql: {
            use_pg_rewind: true,
            parameters: { max_connections: 100, wal_log_hints: 'on', shared_buffers: '32MB' },
          },
        },
        initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
        pg_hba: ['host all all 127.0.0.1/32 md5', 'host replication all 127.0.0.1/32 md5'],
      },
      postgresql: {
        ...of(this.port),
        data_dir: join(this.#directory, 'data'),
        bin_dir: binaries(),
        pgpass: join(this.#directory, 'pgpass'),
        authentication: {
          superuser: account('postgres'),
          replication: account('replicator'),
          rewind: account('rewinder'),
        },
        parameters: { unix_socket_directories: this.#directory },
      },
    };
    // JSON is YAML.
    writeFileSync(this.#file, JSON.stringify(config));
    if (UID !== undefined) {
      chownSync(this.#directory, UID, UID);
      chownSync(this.#file, UID, UID);
    }
  }

  get #file(): string {
    return join(this.#directory, 'patroni.json');
  }

  start(): void {
    const env = { HOME: this.#directory, LANG: 'C.UTF-8' };
    this.#program = startProgram('patroni', [this.#file], {
      cwd: this.#directory,
      env,
      ...(UID === undefined ? {} : { uid: UID }),
    });
    atEnd(() => this.kill());
  }

  /** What Patroni says of this node: with 200 if it has the role. */
  async is(role: 'primary' | 'replica' | 'synchronous'): Promise<boolean> {
    const signal = AbortSignal.timeout(1000);
    const answer = fetch(`http://127.0.0.1:${this.api}/${role}`, { signal });
    return (await answer.catch(() => undefined))?.status === 200;
  }

  text(): string {
    return this.#program?.text() ?? '';
  }

  /** Ends everything of this node at once, as a machine does that loses its power. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    for (const end = Date.now() + 10_000; this.#pids().length > 0 && Date.now() < end; )
      await sleep(50);
  }

  /** Stops everything of this node, or lets it go on: no connection is closed. */
  signal(signal: NodeJS.Signals): void {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Patroni, the postmaster, which has a session of its own, and the children of both. */
  #pids(): number[] {
    const file = join(this.#directory, 'data', 'postmaster.pid');
    const postmaster = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
    const patroni = this.#program?.process.pid ?? 0;
    const alive = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap(processOf);
    const roots = new Set([patroni, postmaster].filter((pid) => pid > 0));
    const ours = alive.filter(
      ({ pid, parent, line }) =>
        (roots.has(pid) && /patroni|postgres/.test(line)) || (parent > 1 && roots.has(parent)),
    );
    return ours.map(({ pid }) => pid);
  }
}

function processOf(name: string): { pid: number; parent: number; line: string }[] {
  try {
    const [, state, parent] =
      /\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
    if (state === 'Z') return [];
    const line = readFileSync(`/proc/${name}/cmdline`, 'utf8');
    return [{ pid: Number(name), parent: Number(parent), line }];
  } catch {
    return [];
  }
}

/** Two nodes with synchronous replication behind HAProxy, which passes connections to the leader. */
export async function startPatroni() {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-patroni-'));
  chmodSync(directory, 0o755);
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const etcd = await startEtcd(directory);
  const nodes: PatroniNode[] = [];
  for (const name of ['a', 'b']) {
    const node = new PatroniNode(name, join(directory, name), await freePort(), await freePort());
    node.configure(etcd);
    node.start();
    nodes.push(node);
    await eventually(() => node.is(name === 'a' ? 'primary' : 'replica'), 60_000);
  }
  const [leader, standby] = nodes as [PatroniNode, PatroniNode];
  await eventually(() => standby.is('synchronous'), 60_000);
  const port = await startHaproxy(directory, nodes);
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
  // Until its first checks it takes both for leaders.
  await eventually(() => isWritable(url));
  return { url, leader, standby };
}

async function isWritable(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query('select not pg_is_in_recovery() as is');
    return rows[0]?.is === true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

async function startEtcd(directory: string): Promise<number> {
  const [clients, peers] = [await freePort(), await freePort()];
  const url = (port: number) => `http://127.0.0.1:${port}`;
  const data = ['--data-dir', join(directory, 'etcd')];
  const listen = ['--listen-client-urls', url(clients), '--advertise-client-urls', url(clients)];
  const peer = ['--listen-peer-urls', url(peers), '--initial-advertise-peer-urls', url(peers)];
  const cluster = ['--initial-cluster', `default=${url(peers)}`];
  startProgram('etcd', [...data, ...listen, ...peer, ...cluster]);
  await eventually(() =>
    fetch(`${url(clients)}/health`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return clients;
}

async function startHaproxy(directory: string, nodes: PatroniNode[]): Promise<number> {
  const port = await freePort();
  const servers = nodes.map(
    ({ name, port, api }) => `  server ${name} 127.0.0.1:${port} check port ${api}`,
  );
  const file = join(directory, 'haproxy.cfg');
  const text = `
defaults
  mode tcp
  timeout connect 1s
  timeout client 30m
  timeout server 30m
  timeout check 3s
listen postgres
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 3 rise 1 on-marked-down shutdown-sessions
${servers.join('\n')}
`;
  writeFileSync(file, text);
  startProgram('haproxy', ['-db', '-f', file]);
  return port;
}
