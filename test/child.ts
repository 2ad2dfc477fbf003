import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from './harness/at-end.ts';
import { DIRECTORY } from './harness/prepared.ts';

/** The service as a process of its own: what people run. */
export type Child = {
  process: ChildProcess;
  grpcAddress: string;
  httpAddress: string;
  /** Everything it has written so far. */
  output: () => string;
  /** Sends a signal and waits for the end. Returns the exit code, or the signal's name. */
  end: (signal?: NodeJS.Signals) => Promise<number | string>;
};

/** What it says when it is ready, and where it then listens. */
const READY = /Countersign is ready\.\n\s+gRPC\s+(\S+)\n\s+HTTP\s.*?([\d.]+:\d+)\)?\n/;
const START_TIMEOUT_MS = 120_000;
/** As `npm start` and the image have it. */
const NODE_ARGUMENTS = ['--max-semi-space-size=16'];

export type Environment = Record<string, string>;

/** The part of our own environment that a process gets. */
const INHERITED = Object.fromEntries(
  ['PATH', 'TMPDIR', 'NODE_COMPILE_CACHE'].map((name) => [name, process.env[name]]),
);

/** Runs a `countersign` command with these variables and no others of ours. */
function spawnCommand(args: string[], env: Environment): ChildProcess & { text: () => string } {
  const child = spawn(process.execPath, [...NODE_ARGUMENTS, 'dist/src/main.js', ...args], {
    env: { ...INHERITED, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  atEnd(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    // What other commands write to standard output is their answer, which may be a secret.
    const isLog = stream === child.stderr || args[0] === 'serve';
    stream.on('data', (chunk) => {
      text += chunk;
      if (isLog) appendFileSync(join(DIRECTORY, `${process.pid}.log`), chunk);
    });
  }
  return Object.assign(child, { text: () => text });
}

/** Runs a command to its end in a process of its own: what a script sees. See also harness/command.ts. */
export async function runProcess(args: string[], env: Environment) {
  const child = spawnCommand(args, env);
  const [code] = await once(child, 'close');
  return { code: code as number, text: child.text() };
}

/** Starts the service on free ports, or on those given, and waits until it is ready. */
export async function spawnService(env: Environment): Promise<Child> {
  const anyPorts = {
    COUNTERSIGN_GRPC_ADDR: '127.0.0.1:0',
    COUNTERSIGN_HTTP_ADDR: '127.0.0.1:0',
  };
  const child = spawnCommand(['serve'], { ...anyPorts, ...env });
  const ended = once(child, 'close');
  const [grpcAddress, httpAddress] = await ready(child);
  return {
    process: child,
    grpcAddress,
    httpAddress,
    output: child.text,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      const [code, killedBy] = await ended;
      return code ?? killedBy;
    },
  };
}

/** Returns its addresses. */
function ready(child: ChildProcess & { text: () => string }): Promise<[string, string]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not ready in time:\n${child.text()}`));
    }, START_TIMEOUT_MS);
    child.stderr?.on('data', () => {
      const [, grpcAddress, httpAddress] = READY.exec(child.text()) ?? [];
      if (grpcAddress === undefined || httpAddress === undefined) return;
      clearTimeout(timer);
      resolve([grpcAddress, httpAddress]);
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${code}:\n${child.text()}`));
    });
  });
}

/** What Linux says that a process holds; of one that has ended, and elsewhere, nothing is known. */
export function residentBytes({ process: { pid } }: Child): number {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return 0;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? 0) * 1024;
}
