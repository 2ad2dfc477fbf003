import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './servers.ts';

/** The service as a process of its own: what people run. */
export type Child = {
  process: ChildProcess;
  grpcAddress: string;
  httpAddress: string;
  /** Everything it has written so far. */
  output: () => string;
  /** Sends a signal and waits for the end. Gives the exit code, or the signal's name. */
  end: (signal?: NodeJS.Signals) => Promise<number | string>;
};

/** Where the last test looks for secrets: see test/platform/logged-secrets.test.ts. */
const logs = process.env['COUNTERSIGN_TEST_DIRECTORY'];
const READY = 'Countersign is ready';
const START_TIMEOUT_MS = 30_000;

export type Environment = Record<string, string>;

/** Runs a `countersign` command with these variables and no others of ours. */
function spawnCommand(args: string[], env: Environment): ChildProcess & { text: () => string } {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
      if (logs !== undefined) appendFileSync(join(logs, `${process.pid}.log`), chunk);
    });
  }
  return Object.assign(child, { text: () => text });
}

/** Runs a command to its end. */
export async function runCommand(args: string[], env: Environment) {
  const child = spawnCommand(args, env);
  const [code] = await once(child, 'close');
  return { code: code as number, text: child.text() };
}

/** Starts the service on ports of its own, or on those given, and waits until it is ready. */
export async function spawnService(env: Environment): Promise<Child> {
  const ports = {
    COUNTERSIGN_GRPC_ADDR: `127.0.0.1:${await freePort()}`,
    COUNTERSIGN_HTTP_ADDR: `127.0.0.1:${await freePort()}`,
  };
  const variables = { ...ports, ...env };
  const child = spawnCommand(['serve'], variables);
  const closed = once(child, 'close');
  await ready(child);
  return {
    process: child,
    grpcAddress: variables.COUNTERSIGN_GRPC_ADDR,
    httpAddress: variables.COUNTERSIGN_HTTP_ADDR,
    output: child.text,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      const [code, killedBy] = await closed;
      return code ?? killedBy;
    },
  };
}

function ready(child: ChildProcess & { text: () => string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not ready in time:\n${child.text()}`));
    }, START_TIMEOUT_MS);
    child.stderr?.on('data', () => {
      if (!child.text().includes(READY)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${code}:\n${child.text()}`));
    });
  });
}
