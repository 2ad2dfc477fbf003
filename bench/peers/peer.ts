import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant } from '../report/row.ts';
import { type Cleanups, waitForOutput } from '../service/cleanups.ts';
import { residentMemory } from '../service/resident-memory.ts';

/** What is compared. */
export const WORKS = [
  'TokenCheck',
  'ApiKeyCheck',
  'Exchange',
  'Refresh',
  'SignUp',
  'Login',
] as const;
export type Work = (typeof WORKS)[number];

/** A running service, and the same work as the others do, done by it. */
export type Peer = {
  name: string;
  version: string;
  /** The resident memory of its process (MiB). */
  memory(): number;
  works: Partial<Record<Work, Contestant[]>>;
  /** Token checks whose latency is measured, one call each. */
  checks: SingleCheck[];
};

export type SingleCheck = { name: string; check(): Promise<void> };

/** The most connections to PostgreSQL that the calls to each peer take: Countersign's default. */
export const POOL_MAX = 10;

const FOLDER = 'bench/peers';
const START_TIMEOUT_MS = 60_000;

/** Installs the packages of the peers where they are not there yet. */
export async function installPeers(): Promise<void> {
  if (existsSync(join(FOLDER, 'node_modules'))) return;
  process.stderr.write(`installs the packages of ${FOLDER}\n`);
  const child = spawn('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`npm ci in ${FOLDER} ended with ${code}`);
}

/** The installed version of a package of the peers. */
export function installedVersion(name: string): string {
  const path = join(FOLDER, 'node_modules', name, 'package.json');
  return JSON.parse(readFileSync(path, 'utf8')).version;
}

/** Starts a script of the peers in production mode. Returns its address and how to read its memory. */
export async function startScript(
  cleanups: Cleanups,
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<{ address: string; memory: () => number }> {
  const child = cleanups.process(process.execPath, [join(FOLDER, script)], {
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      POOL_MAX: String(POOL_MAX),
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return { address, memory: () => residentMemory(child.pid ?? 0) };
}
