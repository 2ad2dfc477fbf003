import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { eventually } from '../harness/eventually.ts';
import { Watchman } from './processes.ts';
import { type BatchResult, type FileResult, type RunOptions, runFiles } from './run-files.ts';

const LIMIT_MS = 4000;

/**
 * Runs planted files, by default in one process, as `npm test` runs ours, except that each may take four
 * seconds.
 */
async function runPlanted(
  names: string[],
  options: Partial<RunOptions> = {},
): Promise<BatchResult[]> {
  const watchman = new Watchman();
  const files = names.map((name) => `test/runner/fixtures/${name}.ts`);
  const all = { limitMs: LIMIT_MS, concurrency: 1, watchman, ...options };
  return runFiles(files, all).finally(() => watchman.stop());
}

async function runOne(name: string): Promise<BatchResult & { counts: number[] }> {
  const [result, ...more] = await runPlanted([name]);
  assert.ok(result);
  assert.deepEqual(more, []);
  return { ...result, counts: result.files.flatMap(counts) };
}

const counts = ({ passed, failed, skipped }: FileResult) => [passed, failed, skipped];

/** The ids of the processes that a planted file says it started. */
function startedBy({ output }: BatchResult): number[] {
  const [, ids = ''] = /^started (.*)$/m.exec(output) ?? [];
  return ids.split(' and ').map(Number);
}

function isAlive(pid: number): boolean {
  assert.ok(pid > 0);
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until none of them is left. */
const areGone = (pids: number[]) => eventually(() => !pids.some(isAlive));

describe('The runner', () => {
  it('ends a file that hangs, with everything that it started, and names the file and the test', async () => {
    const result = await runOne('waits-for-ever');
    assert.deepEqual(result.counts, [1, 1, 0]);
    assert.ok(result.ms >= LIMIT_MS && result.ms < 4 * LIMIT_MS, `${result.ms}`);
    assert.match(
      result.output,
      /✖ test\/runner\/fixtures\/waits-for-ever\.ts: was killed after 4 s\. It was at: A suite > waits for ever/,
    );
    assert.equal(startedBy(result).length, 2);
    await areGone(startedBy(result));
  });

  it('ends a file whose process does not answer, and continues with the others', async () => {
    const results = await runPlanted(['fails', 'computes-for-ever', 'passes', 'fails-too']);
    const output = results.map((result) => result.output).join('');
    assert.match(
      output,
      /computes-for-ever\.ts: was killed after 4 s\. It was at: computes for ever/,
    );
    const files = results.flatMap((result) => result.files);
    assert.deepEqual(
      new Map(files.map((result) => [basename(result.file), counts(result)])),
      new Map([
        ['fails.ts', [1, 1, 2]],
        ['computes-for-ever.ts', [0, 1, 0]],
        ['passes.ts', [1, 0, 0]],
        ['fails-too.ts', [0, 1, 0]],
      ]),
    );
    assert.equal(files.length, 4);
  });

  it('ends the processes that a file left behind, and fails the file', async () => {
    const result = await runOne('leaves-a-process');
    assert.deepEqual(result.counts, [1, 1, 0]);
    assert.match(result.output, /left processes, which were killed:\n {2}sleep 1000/);
    await areGone(startedBy(result));
  });

  it('fails a file that ends early, has no test, or cannot be loaded', async () => {
    assert.deepEqual((await runOne('is-wrong')).counts, [0, 1, 0]);
    assert.deepEqual((await runOne('is-empty')).counts, [0, 1, 0]);
    const [exited, others] = await runPlanted(['exits', 'passes']);
    assert.deepEqual(exited?.files.map(counts), [[1, 1, 0]]);
    assert.deepEqual(others?.files.map(counts), [[1, 0, 0]]);
  });

  it('gives each process the next file when it is done with one, and prints what it wrote', async () => {
    let printed = '';
    const print = (text: string) => {
      printed += text;
    };
    const names = ['waits-for-ever', 'fails', 'passes', 'fails-too'];
    const results = await runPlanted(names, { concurrency: 2, print });
    assert.deepEqual(
      results.map(({ files }) => files.map(({ file }) => basename(file, '.ts'))),
      [['fails', 'passes', 'fails-too'], ['waits-for-ever']],
    );
    for (const { output } of results)
      assert.ok(printed.includes(output.trim().split('\n')[0] ?? '-'));
    const alone = await runPlanted(['passes', 'passes'], { filesPerProcess: 1 });
    assert.deepEqual(
      alone.map(({ files }) => files.flatMap(counts)),
      [
        [1, 0, 0],
        [1, 0, 0],
      ],
    );
  });

  it('ends everything that is running when it is interrupted, and starts nothing more', async () => {
    const signal = AbortSignal.timeout(500);
    const results = await runPlanted(['computes-for-ever', 'passes'], { signal });
    assert.equal(results.length, 1);
    assert.ok((results[0]?.ms ?? 0) < LIMIT_MS);
  });
});

describe('The watchman', () => {
  let runner: ChildProcess | undefined;
  after(() => runner?.kill('SIGKILL'));

  it('ends what the runner started when the runner is killed', async () => {
    const script = `
      import { spawn } from 'node:child_process';
      import { Watchman } from '${join(import.meta.dirname, 'processes.ts')}';
      const { pid } = spawn('sleep', ['1000'], { detached: true });
      new Watchman().watch(-pid);
      setTimeout(() => process.stdout.write(String(pid)), 100);
      setInterval(() => {}, 1000);`;
    runner = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const [said] = await once(runner.stdout ?? runner, 'data');
    const pid = Number(said);
    assert.ok(isAlive(pid));
    runner.kill('SIGKILL');
    await areGone([pid]);
  });
});
