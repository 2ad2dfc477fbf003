import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { type Child, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase } from '../harness/database.ts';
import {
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  hpack,
  RawHttp2,
  SETTINGS,
} from './frames.ts';

const METHOD = '/countersign.v1.SessionService/IntrospectToken';
const WATCH = '/grpc.health.v1.Health/Watch';
/** Before streams and bytes were counted, the same attacks held from 200 to 940 MB and went on growing. */
const GROWTH_BYTES = 256 * 1024 * 1024;
const STREAMS = 12_000;
const EMPTY = Buffer.alloc(5);
/** A message of 65,535 bytes begins. */
const LONG_PREFIX = Buffer.from([0, 0, 0, 0xff, 0xff]);

describe('memory that callers without a credential hold', () => {
  let service: Child;
  let restingBytes: number;
  let open: RawHttp2[] = [];

  beforeEach(async () => {
    service = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      COUNTERSIGN_LOG_LEVEL: 'error',
    });
    atEnd(() => service.end());
    for (let round = 0; round < 20; round += 1) await serves();
    restingBytes = residentBytes(service);
  });

  async function serves(): Promise<void> {
    const { client } = clients(service);
    for (const protocol of ['grpc', 'connect'] as const) {
      const answer = await client(SessionService, protocol).introspectToken({ token: 'x' });
      assert.equal(answer.active, false);
    }
  }

  /** While the connections are still open, good clients are served and memory is bounded. */
  async function staysSmall(): Promise<void> {
    await serves();
    const grown = residentBytes(service) - restingBytes;
    assert.ok(grown < GROWTH_BYTES, `grew by ${Math.round(grown / 1e6)} MB`);
  }

  const close = () => {
    for (const raw of open) raw.destroy();
    open = [];
  };
  afterEach(async () => {
    close();
    await service.end();
  });
  after(close);

  async function connected(address: string): Promise<RawHttp2> {
    const raw = await RawHttp2.to(address);
    open.push(raw);
    return raw;
  }

  const targets = () =>
    [
      [service.grpcAddress, 'application/grpc'],
      [service.grpcAddress, 'application/grpc+json'],
      [service.httpAddress, 'application/json'],
    ] as const;

  for (const references of [2, 16]) {
    it(`W15 is bounded where ${references} bytes of headers stand for kilobytes`, async () => {
      const name = hpack({ 'x-a': 'v'.repeat(3900) });
      const entry = Buffer.concat([Buffer.from([0x40]), name.subarray(1)]);
      for (const [address, type] of targets()) {
        for (let connection = 0; connection < 4; connection += 1) {
          const raw = await connected(address);
          const call = callHeaders(METHOD, { 'content-type': type });
          const uses = Buffer.alloc(references, 0xbe);
          for (let stream = 1; stream < 1000; stream += 2) {
            const block = Buffer.concat(stream === 1 ? [call, entry, uses] : [call, uses]);
            raw.write(frame(HEADERS, END_HEADERS, stream, block));
          }
          await turn();
        }
      }
      await staysSmall();
    });
  }

  it('W15 is bounded where a body comes a byte at a time', async () => {
    for (const [address, type] of targets()) {
      const raw = await connected(address);
      const streams = Array.from({ length: 100 }, (_, index) => 2 * index + 1);
      for (const stream of streams) {
        raw.call(stream, METHOD, { 'content-type': type });
        raw.write(frame(DATA, 0, stream, LONG_PREFIX));
      }
      const bytes = Buffer.concat(streams.map((each) => frame(DATA, 0, each, Buffer.alloc(1))));
      for (let count = 0; count < 2000; count += 1) {
        raw.write(bytes);
        if (count % 20 === 0) await turn();
      }
    }
    await staysSmall();
  });

  for (const [name, path] of [
    ['answers are not read', METHOD],
    ['health is watched', WATCH],
  ] as const) {
    it(`W15 is bounded where ${name} by thousands of streams`, async () => {
      const raw = await connected(service.grpcAddress);
      if (path === METHOD) raw.write(frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
      for (let stream = 1; stream < 2 * STREAMS; stream += 2) {
        raw.call(stream, path, { 'content-type': 'application/grpc' });
        raw.write(frame(DATA, END_STREAM, stream, EMPTY));
        if (stream % 401 === 0) await turn();
      }
      await staysSmall();
    });
  }
});

/** What Linux says that a process holds; elsewhere nothing is known. */
function residentBytes(child: Child): number {
  const path = `/proc/${child.process.pid}/status`;
  if (!existsSync(path)) return 0;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'))?.[1]) * 1024;
}
