import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/servers.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { runSql } from '../service/databases.ts';
import { groupMemory } from '../service/resident-memory.ts';
import { REALMS, realmFile } from './keycloak-realm.ts';
import { POOL_MAX } from './peer.ts';

const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 20_000;
/** The parameters of Countersign's password hashes. */
const ARGON2 = { memory: 19_456, iterations: 2 };

/** Starts the Keycloak of an unpacked archive in production mode, with two realms, as one process. */
export async function startKeycloakServer(cleanups: Cleanups, databaseUrl: string, home: string) {
  const copy = join(cleanups.directory(), 'keycloak');
  // `build` writes into its folder.
  cpSync(home, copy, { recursive: true });
  const imports = join(copy, 'data', 'import');
  mkdirSync(imports, { recursive: true });
  for (const realm of REALMS) writeFileSync(join(imports, `${realm}.json`), realmFile(realm));
  const program = join(copy, 'bin', 'kc.sh');
  run(program, ['build', '--db=postgres']);
  const port = await freePort();
  const child = spawn(program, ['start', '--optimized', ...settings(databaseUrl, port)], {
    // A group of its own: the program is a shell script that starts Java.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kill = () => signalGroup(child, 'SIGKILL');
  process.once('exit', kill);
  cleanups.add(() => stopGroup(child).finally(() => process.off('exit', kill)));
  await listening(child);
  await checkHashes(databaseUrl);
  return {
    address: `127.0.0.1:${port}`,
    version: /[\d.]+/.exec(readFileSync(join(copy, 'version.txt'), 'utf8'))?.[0] ?? '',
    memory: () => groupMemory(child.pid ?? 0),
  };
}

function settings(databaseUrl: string, port: number): string[] {
  const { host, pathname, username, password } = new URL(databaseUrl);
  return [
    `--db-url=jdbc:postgresql://${host}${pathname}`,
    `--db-username=${username}`,
    `--db-password=${password}`,
    `--db-pool-max-size=${POOL_MAX}`,
    // One process: there is no cluster to keep in step.
    '--cache=local',
    '--http-enabled=true',
    '--http-host=127.0.0.1',
    `--http-port=${port}`,
    '--hostname=http://id.example.com',
    '--import-realm',
    `--spi-password-hashing--argon2--memory=${ARGON2.memory}`,
    `--spi-password-hashing--argon2--iterations=${ARGON2.iterations}`,
  ];
}

function run(program: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`kc.sh ${args.join(' ')} failed:\n${stdout}${stderr}`);
}

/** Waits for the line that says that Keycloak listens. */
async function listening(child: ChildProcess): Promise<void> {
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await sleep(100)) {
    if (/Listening on:/.test(text)) {
      child.stdout?.removeAllListeners('data').resume();
      return;
    }
    if (child.exitCode !== null) break;
  }
  throw new Error(`Keycloak is not ready:\n${text}`);
}

/** Throws unless the passwords are hashed with the parameters that all are measured with. */
async function checkHashes(databaseUrl: string): Promise<void> {
  const rows = await runSql<{ credential_data: string }>(
    databaseUrl,
    `select distinct credential_data from credential where type = 'password'`,
  );
  const expected = new RegExp(
    `(?=.*"hashIterations":${ARGON2.iterations}\\b)(?=.*"memory":\\["${ARGON2.memory}"\\])`,
  );
  for (const { credential_data } of rows) {
    if (!expected.test(credential_data)) throw new Error(`Keycloak hashes as ${credential_data}`);
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  signalGroup(child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
