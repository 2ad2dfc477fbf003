import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STOP_TIMEOUT_MS = 10_000;

/** What has been started and has to end: the newest first, also when the run is interrupted. */
export class Cleanups {
  readonly #pending: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  add(cleanup: () => unknown): void {
    this.#pending.push(cleanup);
  }

  /** Ends everything. Called again meanwhile, as an interruption may, it waits for the same end. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let next = this.#pending.pop(); next; next = this.#pending.pop()) await next();
  }

  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
    this.add(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  /** Starts a program that does not outlive this one. */
  process(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(command, args, options);
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    this.add(() => stop(child));
    return child;
  }
}

/** Asks a process to end, and ends it when it takes too long. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/** What a process has written to standard output, once it has ended well. */
export async function finished(child: ChildProcess, timeoutMs: number): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== 0) throw new Error(`ended with ${code ?? signal}:\n${text}`);
  return text;
}

/** Waits until a process has written what `pattern` matches to standard error. */
export function written(
  child: ChildProcess,
  pattern: RegExp,
  timeoutMs: number,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`not ready in time:\n${text}`)), timeoutMs);
    child.once('exit', (code) => reject(new Error(`ended with ${code}:\n${text}`)));
    child.once('error', reject);
    child.stderr?.on('data', (chunk) => {
      text += chunk;
      const match = pattern.exec(text);
      if (!match) return;
      clearTimeout(timer);
      child.stderr?.removeAllListeners('data').resume();
      resolve(match);
    });
  });
}
