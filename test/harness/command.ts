import { readFileSync } from 'node:fs';
import { run } from '../../src/cli.ts';
import type { Environment } from '../../src/config.ts';

/**
 * Runs a `countersign` command with these variables and no others, in this process: what src/main.ts
 * does, without the second that a process takes to load everything. Returns what it writes to either
 * output.
 */
export async function runCommand(args: readonly string[], env: Environment) {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const io = {
    env,
    readFile: (path: string) => readFileSync(path, 'utf8'),
    out: write,
    err: write,
    write: async (more: string) => write(more),
    isTerminal: false,
    keepRunning: () => Promise.reject(new Error('start a process for that')),
  };
  try {
    return { code: await run(args, io), text };
  } catch (error) {
    return { code: 1, text: `${text}${error instanceof Error ? error.message : error}\n` };
  }
}
