import assert from 'node:assert/strict';
import { create, type DescMethod, type Message } from '@bufbuild/protobuf';
import { Code, type ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { BUG } from './echo.ts';
import { DIALECTS, type Dialect, type Got, type HeaderFields, pathOf, send } from './wire.ts';

/** A call, and its outcome in every dialect. */
export type Row = {
  method: DescMethod;
  /** Absent: the method's request, empty. */
  body?: Message | Uint8Array | ((dialect: Dialect) => Message | Uint8Array);
  headers?: HeaderFields | ((dialect: Dialect) => HeaderFields);
  flags?: number;
  /** The whole body in place of one message in its envelope. */
  raw?: Uint8Array;
  /** The address to call from, where it matters. */
  from?: string;
  /** The dialects, if not all of them can express it. */
  dialects?: readonly Dialect[];
  /** Absent: the call succeeds. */
  refused?: { code: Code; reason: string; fields?: string[]; retry?: boolean };
  /** Fields of the log line, in addition to those that every call has. */
  logged?: Record<string, unknown>;
};

export type Observed = { got: Got; line: Record<string, unknown>; refused: Refusal | undefined };

let calls = 0;

/** Sends the row in every dialect, and holds all answers and log lines to the same outcome. */
export async function holds(service: Service, row: Row): Promise<void> {
  for (const dialect of row.dialects ?? DIALECTS) {
    const observed = await observe(service, dialect, row);
    assertAnswer(dialect, row, observed);
    assertLine(dialect, row, observed);
  }
}

/** Sends the row in one dialect, and waits for its log line. */
export async function observe(service: Service, dialect: Dialect, row: Row): Promise<Observed> {
  calls += 1;
  const requestId = `request-${calls}`;
  const given = typeof row.headers === 'function' ? row.headers(dialect) : row.headers;
  const body = typeof row.body === 'function' ? row.body(dialect) : row.body;
  const sent = {
    method: row.method,
    body: row.raw ?? body ?? create(row.method.input),
    raw: row.raw !== undefined,
    headers: { 'x-request-id': requestId, ...given },
    ...(row.flags === undefined ? {} : { flags: row.flags }),
    ...(row.from === undefined ? {} : { from: row.from }),
  };
  const [got, line] = await logged(() => send(service.app, dialect, sent));
  const refused = got.error && (await refusal(Promise.reject(got.error)));
  return { got, line, refused };
}

async function logged<T extends Got>(work: () => Promise<T>) {
  let got: T | undefined;
  const lines: Record<string, unknown>[] = [];
  const ofCall = () =>
    lines.filter(
      (line) => line['msg'] === 'call' && line['request_id'] === got?.header.get('x-request-id'),
    );
  await logLines(async () => {
    got = await work();
    await eventually(() => ofCall().length > 0).catch(() => {});
  }, lines);
  const [line, ...more] = ofCall();
  assert.ok(got && line, 'the call has no log line');
  assert.equal(more.length, 0, 'the call has more than one log line');
  return [got, line] as const;
}

function assertAnswer(dialect: Dialect, row: Row, { got, refused }: Observed): void {
  assert.equal(refused && Code[refused.code], row.refused && Code[row.refused.code], dialect);
  assert.equal(refused?.reason, row.refused?.reason, dialect);
  assert.deepEqual(refused?.fields ?? [], row.refused?.fields ?? [], dialect);
  assert.equal(refused?.retryAfterMs !== undefined, row.refused?.retry ?? false, dialect);
  assert.match(got.header.get('x-request-id') ?? '', /^request-\d+$/, dialect);
  if (!got.error || !refused) return;
  assert.equal(refused.requestId, got.header.get('x-request-id'), dialect);
  assert.equal(domainOf(got.error), 'countersign', dialect);
  assert.equal(everything(got).includes(BUG), false, dialect);
  assert.doesNotMatch(everything(got), /\n\s+at |node_modules|\.ts\b/, dialect);
}

function assertLine(dialect: Dialect, row: Row, { got, line }: Observed): void {
  assert.equal(line['method'], pathOf(row.method).slice(1), dialect);
  assert.equal(line['request_id'], got.header.get('x-request-id'), dialect);
  assert.equal(line['code'], codeName(row.refused?.code), dialect);
  assert.equal(line['reason'], row.refused?.reason, dialect);
  assert.equal(line['address'], row.logged?.['address'] ?? row.from ?? '127.0.0.1', dialect);
  assert.equal(typeof line['duration_ms'], 'number', dialect);
  for (const [name, value] of Object.entries(row.logged ?? {})) {
    assert.deepEqual(line[name], value, `${dialect}: ${name}`);
  }
}

function domainOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.domain;
}

/** All that the caller got, as text; details in their own encoding included. */
function everything({ header, body, error }: Got): string {
  const details = error?.details.map((detail) => JSON.stringify(detail, bigints)).join();
  return `${[...header].join('\n')}\n${body.toString('latin1')}\n${error?.message}\n${details}`;
}

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

function codeName(code: Code | undefined): string {
  if (code === undefined) return 'OK';
  if (code === Code.Canceled) return 'CANCELLED';
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}
