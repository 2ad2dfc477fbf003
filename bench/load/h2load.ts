import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Cleanups } from '../service/cleanups.ts';
import { framed, PREFIX_BYTES } from './grpc-framing.ts';

const WIDTH = { connections: 8, streams: 16 };
/** HTTP/1.1 has one call on each connection. */
const WIDTH_HTTP1 = { connections: 50, streams: 1 };
const WARM_UP_SECONDS = 2;
/** How long h2load may take beyond the measured time. */
const GRACE_SECONDS = 15;

export type GrpcLoad = {
  /** `127.0.0.1:50051` */
  address: string;
  /** `/countersign.v1.SessionService/IntrospectToken` */
  path: string;
  request: Uint8Array;
  headers?: Readonly<Record<string, string>>;
  /** The length of each answer's message, within a few bytes. */
  responseBytes: number;
  /** The number of connections, and of concurrent calls on each. */
  width?: { connections: number; streams: number };
};

export type JsonLoad = Pick<GrpcLoad, 'address' | 'path'> & {
  request: string;
  headers?: Readonly<Record<string, string>>;
  /** The length of each answer's body, within a few bytes. */
  responseBytes: number;
};

/** A request by HTTP/1.1 without a body, whose answers have none either. */
export type GetLoad = Pick<GrpcLoad, 'address' | 'path'> & Required<Pick<GrpcLoad, 'headers'>>;

/** One request that is repeated. */
type Repeated = {
  url: string;
  body: Uint8Array | string | undefined;
  headers: Readonly<Record<string, string>>;
  answerBytes: number;
  width: { connections: number; streams: number };
  options: readonly string[];
};

/** Returns the path of h2load. Throws an error that says how to install it. */
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
 * Prepares a load of one gRPC call, which h2load repeats: by default on 8 connections with 16
 * concurrent calls each. The returned function sends it for a number of seconds and returns the calls
 * per second.
 *
 * That function throws if an answer was not 200, or if the bytes of the answers show that some were
 * errors: h2load does not see `grpc-status`, but an error has no message.
 */
export function grpcLoad(cleanups: Cleanups, load: GrpcLoad): (seconds: number) => Promise<number> {
  return repeated(cleanups, {
    url: `http://${load.address}${load.path}`,
    body: framed(load.request),
    headers: { 'content-type': 'application/grpc', te: 'trailers', ...load.headers },
    answerBytes: PREFIX_BYTES + load.responseBytes,
    width: load.width ?? WIDTH,
    options: [],
  });
}

/** The same for a request in JSON over HTTP/1.1: one at a time on each of 50 connections. */
export function jsonLoad(cleanups: Cleanups, load: JsonLoad): (seconds: number) => Promise<number> {
  return repeated(cleanups, {
    url: `http://${load.address}${load.path}`,
    body: load.request,
    headers: { 'content-type': 'application/json', ...load.headers },
    answerBytes: load.responseBytes,
    width: WIDTH_HTTP1,
    options: ['--h1'],
  });
}

/** The same for a GET. What has failed shows by its status. */
export function getLoad(cleanups: Cleanups, load: GetLoad): (seconds: number) => Promise<number> {
  return repeated(cleanups, {
    url: `http://${load.address}${load.path}`,
    body: undefined,
    headers: load.headers,
    answerBytes: 0,
    width: WIDTH_HTTP1,
    options: ['--h1'],
  });
}

function repeated(
  cleanups: Cleanups,
  { url, body, headers, answerBytes, width, options }: Repeated,
): (seconds: number) => Promise<number> {
  const { connections, streams } = width;
  const fixed = [
    ...options,
    ...['-c', String(connections), '-m', String(streams)],
    ...(body === undefined ? [] : ['-d', fileWith(cleanups, body)]),
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
  ];
  const send = async (seconds: number) => {
    const report = await run(
      [...fixed, '-D', String(seconds), url],
      (seconds + GRACE_SECONDS) * 1000,
    );
    return readReport(report, answerBytes, connections * streams);
  };
  return async (seconds) => {
    // Not h2load's own warm-up: it counts the bytes of that, but not its calls.
    await send(WARM_UP_SECONDS);
    return send(seconds);
  };
}

function fileWith(cleanups: Cleanups, body: Uint8Array | string): string {
  const file = join(cleanups.directory(), 'body');
  writeFileSync(file, body);
  return file;
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

function readReport(report: string, answerBytes: number, concurrent: number): number {
  const answered = number(report, /codes: (\d+) 2xx/);
  const failed = number(report, /(\d+) failed/);
  if (answered === 0 || failed > 0) throw new Error(`calls failed:\n${report}`);
  const bytes = number(report, /\((\d+)\) data/);
  // When the time is up, h2load may have seen only the headers of the concurrent answers.
  if (Math.abs(answered * answerBytes - bytes) > concurrent * answerBytes) {
    throw new Error(`${answered} answers had ${bytes} bytes, not ${answerBytes} each:\n${report}`);
  }
  return number(report, /, ([\d.]+) req\/s/);
}

function number(report: string, pattern: RegExp): number {
  const text = pattern.exec(report)?.[1];
  if (text === undefined) throw new Error(`h2load's report has no ${pattern}:\n${report}`);
  return Number(text);
}
