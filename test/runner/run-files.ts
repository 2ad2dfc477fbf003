import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { killLeftovers, killTree, type Watchman } from './processes.ts';
import { FILES_FD, type Report } from './reporter.ts';

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
  /** Files that one process runs, at most. */
  filesPerProcess?: number;
  watchman: Watchman;
  /** Ends the run: everything running is killed, and nothing more is started. */
  signal?: AbortSignal;
  env?: Record<string, string>;
  /** Gets what the processes write, each time that one of them is done with a file. */
  print?: (text: string) => void;
};

/** Runs files in some processes at once, in the given order. Each process takes the next when it is free. */
export async function runFiles(
  files: readonly string[],
  options: RunOptions,
): Promise<BatchResult[]> {
  const results: BatchResult[] = [];
  const queue = [...files];
  const worker = async () => {
    while (queue.length > 0 && !options.signal?.aborted) {
      const batch = new Batch(queue, options);
      results.push(await batch.run());
      queue.unshift(...batch.unrun);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return results;
}

class Batch {
  readonly #queue: string[];
  readonly #options: RunOptions;
  /** Those that it has been given. */
  readonly #files: string[] = [];
  /** Taken at once, so that no process is started for nothing. */
  #first: string | undefined;
  /** Of the files that have ended, and of the one to blame where the process ended before them. */
  readonly #results = new Map<string, FileResult>();
  /** What is reported of now, which may be behind where the process is. */
  #reported: FileResult | undefined;
  #at: { file: string; test: string };
  #output = '';
  #printed = 0;
  #timer: NodeJS.Timeout | undefined;
  #isLate = false;

  constructor(queue: string[], options: RunOptions) {
    this.#queue = queue;
    this.#options = options;
    this.#first = queue.shift();
    this.#at = { file: this.#first ?? '', test: '' };
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
        // The megabyte that V8 begins with is full many times for each call.
        '--min-semi-space-size=16',
        `--import=${join(import.meta.dirname, 'fewer-hooks.ts')}`,
        `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
        '--test-reporter-destination=stdout',
        join(import.meta.dirname, 'batch.ts'),
      ],
      {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
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
    const answers = child.stdio[FILES_FD] as Writable;
    // The process may be gone.
    answers.on('error', () => {});
    const lines = createInterface({ input: child.stdio[3] as Readable });
    lines.on('line', (line) => {
      const report: Report = JSON.parse(line);
      if (report.event === 'next') answers.write(`${this.#next(late)}\n`);
      else this.#hear(report, late);
    });
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
    this.#print();
    return {
      files: [...this.#results.values()],
      ms: performance.now() - began,
      output: this.#output,
    };
  }

  /** The file that the process is to run next, which has its own time; empty if there is none. */
  #next(late: () => void): string {
    this.#print();
    const { limitMs, filesPerProcess = Number.POSITIVE_INFINITY, signal } = this.#options;
    const isOver = signal?.aborted || this.#files.length >= filesPerProcess;
    const file = this.#first ?? (isOver ? undefined : this.#queue.shift());
    this.#first = undefined;
    if (file === undefined) return '';
    this.#files.push(file);
    this.#at = { file, test: '' };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(late, limitMs);
    return file;
  }

  #print(): void {
    this.#options.print?.(this.#output.slice(this.#printed));
    this.#printed = this.#output.length;
  }

  #hear(report: Exclude<Report, { event: 'next' }>, late: () => void): void {
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
