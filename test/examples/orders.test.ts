import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

const EXAMPLE = 'examples/orders';
const PACKAGE = 'packages/verifier';
const ADMIN = 'admin@example.com';
const WALK_MS = 180_000;

describe('The example orders', () => {
  it('has a README that works as it is printed, with code generated from its proto', async () => {
    const project = projectOf();
    generate(project);
    const { env, output } = await start(project);
    const script = walk(readFileSync(join(project, 'README.md'), 'utf8'), env);
    const { status, stdout, stderr } = await run(script, project, env);
    assert.equal(status, 0, `${stderr}\n${stdout}\n${output()}`);
    const [before = '', after = ''] = stdout.split('"roles":');
    assert.match(before, /\{"products":\["tea","coffee"\]\}/);
    assert.match(before, /"reason":"CREDENTIALS_MISSING"/);
    assert.match(before, /\{\}/);
    assert.match(before, /"code":"permission_denied".*"permission":"orders.write"/s);
    assert.doesNotMatch(before, /"number":/);
    assert.match(after, /\{"order":\{"number":1,"product":"tea"/);
    assert.match(after, /"number": 2,\s*"product": "coffee"/);
    assert.match(after, /^1 tea\n2 coffee$/m);
    const [, ended = ''] = after.split(/"number": \d+,\s*"product": "tea"/).slice(-2);
    assert.match(ended, /"code": "unauthenticated"/);
    assert.equal(ended.match(/revoked/g)?.length, 2, ended);
    assert.match(ended, /"reason":"TOKEN_REVOKED"/);
  });
});

/** The example as somebody else's project, with what its package.json asks for and nothing else. */
function projectOf(): string {
  const project = temporaryDirectory();
  cpSync(EXAMPLE, project, { recursive: true, filter: (path) => !path.includes('node_modules') });
  const { dependencies } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  const { '@countersign/verifier': _, ...others } = dependencies;
  for (const name of [...Object.keys(others), 'jose']) link(project, name);
  // As `npm pack` has it, but not built in place, where another test may pack it at the same time.
  const verifier = join(project, 'node_modules/@countersign/verifier');
  mkdirSync(join(verifier, 'proto/countersign/v1'), { recursive: true });
  cpSync(join(PACKAGE, 'package.json'), join(verifier, 'package.json'));
  const rule = 'proto/countersign/v1/access.proto';
  cpSync(rule, join(verifier, rule));
  command('tsc', ['--project', PACKAGE, '--outDir', join(verifier, 'dist')], '.');
  return project;
}

function link(project: string, name: string): void {
  const path = join(project, 'node_modules', name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(resolve('node_modules', name), path);
}

/** Generates the project's code again, which is as it was. */
function generate(project: string): void {
  command('buf', ['lint'], project);
  command('buf', ['format', '--diff', '--exit-code', 'proto'], project);
  command('buf', ['generate'], project);
  command('diff', ['-r', resolve(EXAMPLE, 'gen'), join(project, 'gen')], project);
}

function command(name: string, args: string[], cwd: string): void {
  const env = { ...process.env, PATH: pathWith(resolve('node_modules/.bin')) };
  const { status, stdout, stderr } = spawnSync(name, args, { cwd, env, encoding: 'utf8' });
  assert.equal(status, 0, `${name}: ${stdout}${stderr}`);
}

/** Starts Countersign and orders. Returns what the walk's programs need to know of them. */
async function start(project: string) {
  const issuer = 'https://issuer.test';
  const service = await spawnService({
    COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
    COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: ADMIN,
    COUNTERSIGN_ISSUER: issuer,
  });
  atEnd(() => service.end());
  const env = {
    PATH: pathWith(withNpx(), resolve('node_modules/.bin')),
    COUNTERSIGN_URL: `http://${service.httpAddress}`,
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_AUDIENCE: issuer,
  };
  const orders = spawn(process.execPath, ['server.ts'], {
    cwd: project,
    env: { ...env, GRPC_PORT: '0', HTTP_PORT: '0' },
  });
  endAtEnd(orders, () => orders.kill('SIGKILL'));
  const said = await readyOrders(orders);
  const [, grpc = ''] = /gRPC on (\S+)/.exec(said()) ?? [];
  const [, http = ''] = /HTTP on (\S+)/.exec(said()) ?? [];
  return {
    env: { ...env, ORDERS_URL: `http://${http}`, ORDERS_GRPC: `http://${grpc}` },
    output: () => `${said()}\n${service.output()}`,
  };
}

/** Returns what it has said so far, once it says that it is ready in every respect. */
function readyOrders(orders: ChildProcess): Promise<() => string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer) => {
      said += chunk;
      if (['gRPC on', 'HTTP on', 'is heard'].every((text) => said.includes(text))) {
        resolve(() => said);
      }
    };
    orders.stdout?.on('data', listen);
    orders.stderr?.on('data', listen);
    orders.once('close', () => reject(new Error(`orders ended:\n${said}`)));
  });
}

function walk(readme: string, env: { [name: string]: string }): string {
  const [, script = ''] = /## Use it[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  return script
    .replace('http://127.0.0.1:8080', env['COUNTERSIGN_URL'] ?? '')
    .replace('http://127.0.0.1:8081', env['ORDERS_URL'] ?? '')
    .replace('http://127.0.0.1:50061', env['ORDERS_GRPC'] ?? '');
}

/** Runs a script in a group of processes of its own, all of which have ended when the test has. */
async function run(script: string, cwd: string, env: { [name: string]: string }) {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
  });
  const { pid } = child;
  const kill = () => pid !== undefined && process.kill(-pid, 'SIGKILL');
  endAtEnd(child, kill);
  const timer = setTimeout(kill, WALK_MS);
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      written[name] += chunk;
    });
  }
  const [status] = await once(child, 'close');
  clearTimeout(timer);
  return { status: status as number | null, ...written };
}

/** Kills what a test has started, if it still runs, and waits for that. */
function endAtEnd(child: ChildProcess, kill: () => unknown): void {
  const closed = once(child, 'close');
  atEnd(async () => {
    try {
      kill();
    } catch {}
    await closed;
  });
}

function pathWith(...directories: string[]): string {
  return [...directories, process.env['PATH']].join(':');
}

/** A directory with an `npx` that runs what is installed here, without the second that npm takes to begin. */
function withNpx(): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  return directory;
}
