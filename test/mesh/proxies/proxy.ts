import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { atEnd } from '../../harness/at-end.ts';
import { eventually } from '../../harness/eventually.ts';
import { temporaryDirectory } from '../../harness/prepared.ts';
import { freePort } from '../../servers.ts';
import { exampleWith, type Ports } from './example-ports.ts';
import { send } from './send.ts';

/** A proxy that there is an example for in deploy/mesh. */
type Kind = {
  program: string;
  /** The files of the example; the first one is its configuration. */
  files: string[];
  /** What to run it with, in the directory with the files. */
  args: (configuration: string) => string[];
  /** What only a test needs, such as places for temporary files. */
  adapt?: (text: string) => string;
};

const KINDS = {
  'Envoy by gRPC': envoy('envoy-grpc.yaml'),
  'Envoy by HTTP': envoy('envoy-http.yaml'),
  nginx: {
    program: 'nginx',
    files: ['nginx.conf'],
    args: (file) => ['-p', '.', '-c', file, '-e', 'stderr', '-g', NGINX],
    adapt: (text) => text.replace(/^http \{$/m, `http {\n${NGINX_PLACES}`),
  },
  Caddy: {
    program: 'caddy',
    files: ['Caddyfile'],
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
  Traefik: {
    program: 'traefik',
    files: ['traefik.yaml', 'traefik-routes.yaml'],
    args: (file) => [`--configFile=${file}`],
  },
  HAProxy: {
    program: 'haproxy',
    files: ['haproxy.cfg', 'countersign.lua'],
    args: (file) => ['-db', '-f', file],
  },
} satisfies Record<string, Kind>;

export type ProxyName = keyof typeof KINDS;

const NGINX = 'daemon off; master_process off; pid nginx.pid;';
const NGINX_PLACES = [
  'access_log off;',
  ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  ),
].join('\n');

function envoy(file: string): Kind {
  const options = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'error'];
  return { program: 'envoy', files: [file], args: (each) => ['-c', each, ...options] };
}

/** Where a program is: what COUNTERSIGN_TEST_ENVOY and its like say, or in PATH. */
function programOf({ program }: Kind): string | undefined {
  const given = process.env[`COUNTERSIGN_TEST_${program.toUpperCase()}`];
  const places = (process.env['PATH'] ?? '').split(':').map((place) => join(place, program));
  return given || places.find((place) => existsSync(place));
}

/** Why the tests of a proxy are skipped, if they are. */
export function skipOf(name: ProxyName): string | false {
  const { program } = KINDS[name];
  if (programOf(KINDS[name])) return false;
  const variable = `COUNTERSIGN_TEST_${program.toUpperCase()}`;
  return `needs ${program}: put it into PATH, or name it by ${variable}`;
}

export type Change = (text: string) => string;

/**
 * Starts a proxy with the very files of its example, in which only ports are other ones; `change` is for
 * tests of what a change of the example would mean. Returns its port.
 */
export async function startProxy(
  name: ProxyName,
  ports: Ports,
  change: Change = (text) => text,
): Promise<number> {
  const kind: Kind = KINDS[name];
  const directory = temporaryDirectory();
  const port = await freePort();
  for (const file of kind.files) {
    const placed = exampleWith(file, port, ports);
    const { adapt = (each: string) => each } = kind;
    writeFileSync(join(directory, basename(file)), change(adapt(placed)));
  }
  const child = spawn(programOf(kind) ?? '', kind.args(kind.files[0] ?? ''), {
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const closed = once(child, 'close');
  atEnd(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`${kind.program} ended:\n${text}`);
    const answers = await Promise.all([
      send(port, { path: '/public/' }),
      send(port, { path: '/public/', version: '2' }),
    ]);
    return answers.some(({ status }) => status === 200);
  });
  return port;
}
