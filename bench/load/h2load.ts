import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Cleanups } from '../service/cleanups.ts';
import { framed, PREFIX_BYTES } from './framed.ts';

const WIDTH = { connections: 8, streams: 16 };
const WARM_UP_SECONDS = 2;
/** Beyond the time that it was told to take. */
const GRACE_SECONDS = 15;

export type GrpcLoad = {
  /** `127.0.0.1:50051` */
  address: string;
  /** `/countersign.v1.SessionService/IntrospectToken` */
  path: string;
  request: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  /** Of every answer's message, give or take a few. */
  responseBytes: number;
  /** Connections, and calls at once on each. */
  width?: { connections: number; streams: number };
};

/** Where h2load is. Throws a sentence that says how to get it. */
export function findH2load(): string {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, 'h2load');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error(
    'The benchmarks need h2load. Install it (Debian: apt-get install nghttp2-client; macOS: brew install nghttp2).',
  );
}

/**
 * A load of one gRPC call, sent again and again by h2load: by default on 8 connections with 16 calls at
 * once each.
 * The returned function sends it for so many seconds and gives the calls per second. It throws where
 * an answer was not 200, or where the bytes of the answers show that some were errors: h2load itself
 * does not see `grpc-status`, but an error has no message.
 */
export function grpcLoad(cleanups: Cleanups, load: GrpcLoad): (seconds: number) => Promise<number> {
  const body = join(cleanups.directory(), 'body');
  writeFileSync(body, framed(load.request));
  const { connections, streams } = load.width ?? WIDTH;
  const headers = { 'content-type': 'application/grpc', te: 'trailers', ...load.headers };
  const fixed = [
    ...['-c', String(connections), '-m', String(streams), '-d', body],
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
  ];
  const send = async (seconds: number) => {
    const args = [...fixed, '-D', String(seconds), `http://${load.address}${load.path}`];
    const report = await run(args, (seconds + GRACE_SECONDS) * 1000);
    return readReport(report, PREFIX_BYTES + load.responseBytes, connections * streams);
  };
  return async (seconds) => {
    // Not h2load's own warm-up, whose bytes it counts with the rest, but not its calls.
    await send(WARM_UP_SECONDS);
    return send(seconds);
  };
}

async function run(args: readonly string[], timeoutMs: number): Promise<string> {
  const child = spawn(findH2load(), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let report = '';
  child.stdout.on('data', (chunk) => {
    report += chunk;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`h2load ended with ${code ?? signal}:\n${report}`);
  return report;
}

function readReport(report: string, answerBytes: number, atOnce: number): number {
  const answered = number(report, /codes: (\d+) 2xx/);
  const failed = number(report, /(\d+) failed/);
  if (answered === 0 || failed > 0) throw new Error(`calls failed:\n${report}`);
  const messages = number(report, /\((\d+)\) data/) / answerBytes;
  // Of the answers under way when the time is up, h2load may have seen the headers alone.
  if (Math.abs(answered - messages) > atOnce) {
    throw new Error(`${answered} answers had ${Math.round(messages)} messages:\n${report}`);
  }
  return number(report, /, ([\d.]+) req\/s/);
}

function number(report: string, pattern: RegExp): number {
  const text = pattern.exec(report)?.[1];
  if (text === undefined) throw new Error(`h2load's report has no ${pattern}:\n${report}`);
  return Number(text);
}
