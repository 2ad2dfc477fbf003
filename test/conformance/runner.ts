import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { atEnd } from '../harness/at-end.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

const MODULE = 'connectrpc.com/conformance/cmd/connectconformance';
const VERSION = 'v1.0.7';
const NAME = 'connectconformance';

const runs = (command: string, argument: string) => spawnSync(command, [argument]).status === 0;
const isInstalled = runs(NAME, '--version');
/** Why the suite is skipped, if it is. */
export const missing =
  isInstalled || runs('go', 'version')
    ? false
    : `needs ${NAME}, or Go to build it: https://github.com/connectrpc/conformance`;

/** The runner's program. */
export async function runner(): Promise<string> {
  if (isInstalled) return NAME;
  const directory = temporaryDirectory();
  const { code, text } = await run('go', ['install', `${MODULE}@${VERSION}`], { GOBIN: directory });
  if (code !== 0) throw new Error(`${NAME} could not be built:\n${text}`);
  return join(directory, NAME);
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; text: string }> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  atEnd(() => child.kill());
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const [code] = await once(child, 'close');
  return { code, text };
}
