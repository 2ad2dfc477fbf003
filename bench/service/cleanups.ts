import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STOP_TIMEOUT_MS = 10_000;

/** Ends what was started, the newest first, also if the run is interrupted. */
export class Cleanups {
  readonly #pending: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  add(cleanup: () => unknown): void {
    this.#pending.push(cleanup);
  }

  /**
   * Ends everything. If it is called again meanwhile, by an interruption, it waits for the same end.
   */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let next = this.#pending.pop(); next; next = this.#pending.pop()) await next();
  }

  /** Creates a temporary directory, which the cleanup removes. Returns its path. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
    this.add(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  /** Starts a program, which never outlives this one. */
  process(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(command, args, options);
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    this.add(() => stop(child));
    return child;
  }
}

/** Asks a process to end, and kills it if that takes too long. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/** Waits until a process has ended, and returns its standard output. Throws unless it exits with 0. */
export async function outputOf(child: ChildProcess, timeoutMs: number): Promise<string> {
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

/** Waits until the standard error of a process matches `pattern`. */
export function waitForOutput(
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
