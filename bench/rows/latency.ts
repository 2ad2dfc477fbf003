import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toBinary } from '@bufbuild/protobuf';
import { startEcho } from '../load/against-echo.ts';
import { startJsonEcho } from '../load/connect-json.ts';
import { requestBytes } from '../load/http1.ts';
import { introspection } from '../load/introspection.ts';
import { openLoop, type Target } from '../load/open-loop.ts';
import { signUpPeople } from '../load/people.ts';
import { ask, pathOf, questionBytes } from '../load/question.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { median, percentile } from '../report/statistics.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { startOnPostgres } from '../service/replica.ts';

const PER_SECOND = 500;
const WARM_UP_SECONDS = 4;
const TARGET = 3;
const REPORT_TIMEOUT_MS = 5000;

/** Pauses while calls come steadily, far below what the service can take. */
export const latency: FigureRow = {
  name: 'Latency',
  about: `p99 of SessionService/IntrospectToken at ${PER_SECOND} a second by gRPC and by Connect in JSON, against bare echoes`,
  async figures(cleanups, options) {
    const { rounds = 5, seconds = 5 } = options as { rounds?: number; seconds?: number };
    const pauses = join(cleanups.directory(), 'pauses');
    const service = await startOnPostgres(cleanups, {
      ...options,
      nodeArgs: ['--import', './bench/service/watch-pauses.ts'],
      env: { BENCH_PAUSES: pauses },
    });
    const people = await signUpPeople(service.grpcAddress);
    const { accessToken: token } = await people.signIn();
    const figures: Figure[] = [];
    for (const { door, pair } of await targets(cleanups, service, token)) {
      for (const target of pair) await measured(target, WARM_UP_SECONDS);
      await readPauses(service.pid, pauses);
      const p99s = { ours: [] as number[], bare: [] as number[] };
      for (let round = 0; round < rounds; round += 1) {
        p99s.ours.push(percentile(await measured(pair[0], seconds), 0.99));
        p99s.bare.push(percentile(await measured(pair[1], seconds), 0.99));
      }
      figures.push(...figuresOf(door, p99s, await readPauses(service.pid, pauses)));
    }
    return figures;
  },
};

function figuresOf(
  door: string,
  { ours, bare }: { ours: number[]; bare: number[] },
  pauses: number[],
): Figure[] {
  const ratios = ours.map((p99, round) => p99 / (bare[round] ?? NaN));
  return [
    { name: `${door}: p99`, value: median(ours), unit: 'ms' },
    { name: `${door}: p99 of a bare echo`, value: median(bare), unit: 'ms' },
    { name: `${door}: the two`, value: median(ratios), unit: '×', atMost: TARGET },
    { name: `${door}: longest collection`, value: Math.max(0, ...pauses), unit: 'ms' },
    { name: `${door}: collections in all`, value: sum(pauses), unit: 'ms' },
  ];
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

const measured = (target: Target, seconds: number) =>
  openLoop(target, { perSecond: PER_SECOND, seconds });

/** For each door the service and a bare echo that gives the same answers. */
async function targets(
  cleanups: Cleanups,
  { grpcAddress, publicUrl }: { grpcAddress: string; publicUrl: string },
  token: string,
): Promise<{ door: string; pair: [ours: Target, bare: Target] }[]> {
  const question = introspection(token);
  const { method } = question;
  const path = pathOf(method);
  const answer = toBinary(method.output, await ask(grpcAddress, question));
  const grpcEcho = await startEcho(cleanups, method, answer);
  const grpc = { door: 'gRPC' as const, path, request: questionBytes(question) };
  const body = JSON.stringify({ token });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${publicUrl}${path}`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`the service answers ${response.status}`);
  const jsonEcho = await startJsonEcho(cleanups, await response.text());
  const request = requestBytes({ method: 'POST', path, headers, body });
  const json = { door: 'HTTP/1.1' as const, request };
  const { host } = new URL(publicUrl);
  return [
    {
      door: 'gRPC',
      pair: [
        { ...grpc, address: grpcAddress },
        { ...grpc, address: grpcEcho },
      ],
    },
    {
      door: 'JSON',
      pair: [
        { ...json, address: host },
        { ...json, address: jsonEcho },
      ],
    },
  ];
}

/** How long each collection of garbage since the last time took. */
async function readPauses(pid: number, file: string): Promise<number[]> {
  const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  const before = lines().length;
  process.kill(pid, 'SIGUSR2');
  for (const end = performance.now() + REPORT_TIMEOUT_MS; performance.now() < end; ) {
    const line = lines()[before];
    if (line !== undefined) return JSON.parse(line) as number[];
    await sleep(20);
  }
  throw new Error('the service does not say how long its collections took');
}
