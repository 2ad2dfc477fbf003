import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findH2load } from '../load/h2load.ts';
import {
  type Http1Answer,
  Http1Connection,
  type Http1Request,
  repeatOnConnections,
  requestBytes,
} from '../load/http1.ts';
import type { Contestant } from '../report/row.ts';
import { type Cleanups, outputOf } from '../service/cleanups.ts';
import type { SingleCheck } from './peer.ts';

const CONNECTIONS = 50;
const GRACE_MS = 15_000;

/** The same request again and again, and what its answer has to say. */
export type Repeated = {
  name: string;
  address: string;
  request: Http1Request;
  /** Whether an answer is right. */
  expect(answer: Http1Answer): boolean;
};

/** A request that h2load repeats by HTTP/1.1: one at a time on each of 50 connections. */
export function repeated(cleanups: Cleanups, { name, address, request, expect }: Repeated) {
  const { method, path, headers = {}, body = '' } = request;
  const file = join(cleanups.directory(), 'body');
  writeFileSync(file, body);
  const fixed = [
    ...['--h1', '-c', String(CONNECTIONS), '-t', '1'],
    ...(method === 'POST' ? ['-d', file] : []),
    ...Object.entries(headers).flatMap((header) => ['-H', header.join(': ')]),
  ];
  const perSecond = async (seconds: number) => {
    const args = [...fixed, '-D', String(seconds), `http://${address}${path}`];
    const child = cleanups.process(findH2load(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    return okPerSecond(await outputOf(child, seconds * 1000 + GRACE_MS));
  };
  const contestant: Contestant = {
    name,
    check: () => askOnce(address, request, expect, name),
    perSecond,
  };
  return contestant;
}

function okPerSecond(report: string): number {
  const ok = Number(/codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(report)?.[1]);
  const failed = Number(/(\d+) failed/.exec(report)?.[1]);
  if (!(ok > 0) || failed > 0) throw new Error(`calls failed:\n${report}`);
  return Number(/, ([\d.]+) req\/s/.exec(report)?.[1]);
}

async function askOnce(
  address: string,
  request: Http1Request,
  expect: (answer: Http1Answer) => boolean,
  name: string,
): Promise<void> {
  const connection = new Http1Connection(address);
  const answer = await connection.send(requestBytes(request)).finally(() => connection.close());
  assert.ok(expect(answer), `${name} answers ${answer.status} ${answer.body}`);
}

/** The single check of a repeated request, by connections that stay open. */
export function singleCheck(cleanups: Cleanups, { name, address, request, expect }: Repeated) {
  const bytes = requestBytes(request);
  const idle: Http1Connection[] = [];
  const check: SingleCheck = {
    name,
    async check() {
      const connection = takeOpen(idle) ?? new Http1Connection(address);
      const answer = await connection.send(bytes);
      if (!expect(answer)) throw new Error(`${name} answers ${answer.status} ${answer.body}`);
      idle.push(connection);
    },
  };
  cleanups.add(() => {
    for (const connection of idle) connection.close();
  });
  return check;
}

function takeOpen(connections: Http1Connection[]): Http1Connection | undefined {
  for (let next = connections.pop(); next; next = connections.pop()) {
    if (!next.isClosed) return next;
  }
  return undefined;
}

/** Work whose every request is another one. */
export type Varied = {
  name: string;
  address: string;
  connections: number;
  /** The next request of a connection. */
  next(index: number): Http1Request;
  /** Takes an answer, which may decide the connection's next request. Throws if it is wrong. */
  took(answer: Http1Answer, index: number): void;
};

/** Requests of our own client, one at a time on each connection. */
export function varied({ name, address, connections, next, took }: Varied): Contestant {
  const step = async (connection: Http1Connection, index: number) => {
    const answer = await connection.send(requestBytes(next(index)));
    if (answer.status !== 200) throw new Error(`${name} answers ${answer.status} ${answer.body}`);
    took(answer, index);
  };
  return {
    name,
    async check() {
      const connection = new Http1Connection(address);
      await step(connection, 0).finally(() => connection.close());
    },
    perSecond: (seconds) => repeatOnConnections({ address, connections, seconds }, step),
  };
}

/** A JSON request by POST. */
export function postJson(path: string, value: unknown): Http1Request {
  const headers = { 'content-type': 'application/json' };
  return { method: 'POST', path, headers, body: JSON.stringify(value) };
}

/** A form by POST, for a client that proves itself by HTTP Basic. */
export function postForm(
  path: string,
  form: Readonly<Record<string, string>>,
  client?: { id: string; secret: string },
): Http1Request {
  const basic = client && Buffer.from(`${client.id}:${client.secret}`).toString('base64');
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    ...(basic === undefined ? {} : { authorization: `Basic ${basic}` }),
  };
  return { method: 'POST', path, headers, body: new URLSearchParams({ ...form }).toString() };
}

/** Sends one request and returns the JSON of its answer. */
export async function askJson<T>(address: string, request: Http1Request): Promise<T> {
  const connection = new Http1Connection(address);
  const answer = await connection.send(requestBytes(request)).finally(() => connection.close());
  if (answer.status >= 300) throw new Error(`${request.path}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body);
}
