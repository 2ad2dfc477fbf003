import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from './harness/at-end.ts';

/** A program of the system that a test starts. */
export type Program = {
  process: ChildProcess;
  /** Everything it has written so far. */
  text: () => string;
  /** Sends a signal and waits for the end, which a stopped process reaches only by SIGKILL. */
  end: (signal?: NodeJS.Signals) => Promise<void>;
};

const PLACES = [
  ...(process.env['PATH'] ?? '').split(':'),
  '/usr/sbin',
  '/usr/bin',
  '/usr/local/bin',
];

function find(name: string): string | undefined {
  return PLACES.map((place) => join(place, name)).find((path) => existsSync(path));
}

/** Why a test that needs these programs is skipped, if it is. */
export function lacking(...names: string[]): string | false {
  const missing = names.filter((name) => find(name) === undefined);
  return missing.length > 0 && `needs ${missing.join(', ')} (Debian has packages of these names)`;
}

/** Starts a program, which ends with the test. `uid` is for those that refuse to run as root. */
export function startProgram(
  name: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; uid?: number } = {},
): Program {
  const child = spawn(find(name) ?? name, args, {
    cwd: options.cwd,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    env: { PATH: PLACES.join(':'), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const closed = once(child, 'close');
  const end = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    await closed;
  };
  atEnd(() => end('SIGKILL'));
  return { process: child, text: () => text, end };
}
