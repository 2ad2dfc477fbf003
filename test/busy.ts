import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Watchman } from './runner/processes.ts';

/**
 * Runs the tests three times in a row, or as often as the first argument says, next to as many busy
 * loops as there are cores. Stops at the first failure.
 */
const times = Number(process.argv[2] ?? 3);
const files = process.argv.slice(3);

const watchman = new Watchman();
const loops = Array.from({ length: availableParallelism() }, () =>
  spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
);
for (const { pid } of loops) if (pid !== undefined) watchman.watch(pid);

let code = 0;
for (let time = 1; time <= times && code === 0; time += 1) {
  const from = performance.now();
  const tests = spawn(process.execPath, [join(import.meta.dirname, 'run.ts'), ...files], {
    stdio: 'inherit',
  });
  code = await exitCodeOf(tests);
  const seconds = Math.round((performance.now() - from) / 1000);
  process.stdout.write(`run ${time} of ${times} beside busy loops: ${seconds} s\n`);
}
for (const loop of loops) loop.kill('SIGKILL');
watchman.stop();
process.exit(code);

async function exitCodeOf(child: ChildProcess): Promise<number> {
  const [exitCode] = await once(child, 'exit');
  return typeof exitCode === 'number' ? exitCode : 1;
}
