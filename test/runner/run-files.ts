import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { killLeftovers, killTree, type Watchman } from './processes.ts';
import type { Report } from './reporter.ts';

export type FileResult = { file: string; passed: number; failed: number; skipped: number };

/** What became of the files that one process ran, and what it wrote. */
export type BatchResult = { files: FileResult[]; ms: number; output: string };

export type RunOptions = {
  /**
   * Of one file: then its process is killed with everything that it started, and the next files get a
   * new one.
   */
  limitMs: number;
  /** Processes at once. */
  concurrency: number;
  watchman: Watchman;
  /** Ends the run: everything running is killed, and nothing more is started. */
  signal?: AbortSignal;
  env?: Record<string, string>;
  ended?: (result: BatchResult) => void;
};

/** Runs each batch of files in its own process, some at once, in the given order. */
export async function runFiles(
  batches: readonly (readonly string[])[],
  options: RunOptions,
): Promise<BatchResult[]> {
  const results: BatchResult[] = [];
  const queue = [...batches];
  const worker = async () => {
    for (let files = queue.shift(); files !== undefined; files = queue.shift()) {
      if (options.signal?.aborted) return;
      const batch = new Batch(files, options);
      const result = await batch.run();
      results.push(result);
      options.ended?.(result);
      if (batch.unrun.length > 0) queue.unshift(batch.unrun);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return results;
}

class Batch {
  readonly #files: readonly string[];
  readonly #options: RunOptions;
  /** Of the files that have ended, and of the one to blame where the process ended before them. */
  readonly #results = new Map<string, FileResult>();
  /** What is reported of now, which may be behind where the process is. */
  #reported: FileResult | undefined;
  #at: { file: string; test: string };
  #output = '';
  #timer: NodeJS.Timeout | undefined;
  #isLate = false;

  constructor(files: readonly string[], options: RunOptions) {
    this.#files = files;
    this.#options = options;
    this.#at = { file: files[0] ?? '', test: '' };
  }

  /** The files of which nothing is known although the process has ended. */
  get unrun(): string[] {
    return this.#files.filter((file) => !this.#results.has(file));
  }

  async run(): Promise<BatchResult> {
    const { limitMs, watchman, signal, env } = this.#options;
    const began = performance.now();
    // Detached: at the head of a process group, in which everything is that it starts.
    const child = spawn(
      process.execPath,
      [
        '--test-force-exit',
        `--import=${join(import.meta.dirname, 'fewer-hooks.ts')}`,
        `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
        '--test-reporter-destination=stdout',
        join(import.meta.dirname, 'batch.ts'),
        ...this.#files,
      ],
      {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0', ...env },
      },
    );
    const pid = child.pid;
    if (pid === undefined) throw new Error(`${process.execPath} did not start`);
    watchman.watch(-pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#output += chunk;
      });
    }
    const late = () => {
      this.#isLate = true;
      killTree(pid);
    };
    this.#timer = setTimeout(late, limitMs);
    const lines = createInterface({ input: child.stdio[3] as Readable });
    lines.on('line', (line) => this.#hear(JSON.parse(line), late));
    const interrupt = () => killTree(pid);
    signal?.addEventListener('abort', interrupt);
    const closed = once(child, 'close');
    const [code, killedBy] = await once(child, 'exit');
    signal?.removeEventListener('abort', interrupt);
    const left = await killLeftovers(pid);
    watchman.forget(-pid);
    // A process outside the group may hold its output open forever.
    await Promise.race([closed, sleep(1000, undefined, { ref: false })]);
    clearTimeout(this.#timer);
    for (const stream of child.stdio) stream?.destroy();
    this.#judge(code ?? killedBy, left);
    return {
      files: [...this.#results.values()],
      ms: performance.now() - began,
      output: this.#output,
    };
  }

  #hear(report: Report, late: () => void): void {
    if (report.event === 'at') {
      if (report.file !== this.#at.file) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(late, this.#options.limitMs);
      }
      this.#at = report;
    } else if (report.event === 'file begins') {
      this.#reported = { file: report.file, passed: 0, failed: 0, skipped: 0 };
    } else if (report.event === 'file ends') {
      const result = this.#reported;
      if (!result) return;
      this.#results.set(report.file, result);
      // Its hooks did, or it could not be loaded.
      if (!report.passed && result.failed === 0) result.failed = 1;
      if (result.passed + result.failed + result.skipped === 0) this.#blame(result, 'has no test');
    } else if (this.#reported) {
      this.#reported[report.event] += 1;
    }
  }

  #judge(ending: number | string, left: readonly string[]): void {
    const { file, test } = this.#at;
    const known = this.#results.get(file) ?? this.#reported;
    const current = known?.file === file ? known : { file, passed: 0, failed: 0, skipped: 0 };
    const isOver = this.unrun.length === 0;
    const hasFailed = [...this.#results.values()].some(({ failed }) => failed > 0);
    if (this.#isLate) {
      const where = test && ` It was at: ${test.replace(`${file} > `, '')}`;
      this.#blame(current, `was killed after ${this.#options.limitMs / 1000} s.${where}`);
    } else if (!isOver || (ending !== 0 && !hasFailed)) {
      this.#blame(current, `ended with ${ending}`);
    }
    if (left.length > 0) {
      this.#blame(current, `left processes, which were killed:\n  ${left.join('\n  ')}`);
    }
    if (current.failed > 0) this.#results.set(file, current);
  }

  #blame(result: FileResult, text: string): void {
    result.failed += 1;
    this.#output += `✖ ${result.file}: ${text}\n`;
  }
}
