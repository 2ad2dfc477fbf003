import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WatchRevocationsResponse } from '../../gen/countersign/v1/session_service_pb.ts';
import { type Child, spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { MASTER_KEY, REDIS_URL } from '../harness/prepared.ts';
import { WATCHERS } from '../harness/scale.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

/** A connection takes 200 streams. */
const PER_CONNECTION = 190;
const BURST = 50;
const PATIENCE_MS = 120_000;
/** The limit of the replica's heap (MiB): a replica that needs more dies. */
const HEAP_MIB = 200 + WATCHERS / 5;

type Sessions = Service['sessions'];

/** A reader that keeps only how much it has been told. */
class Watcher {
  revocations = 0;
  caughtUp = false;
  firstEvent: WatchRevocationsResponse['event']['case'];
  lastTarget: unknown;
  endedWith: string | undefined;
  readonly #leaving = new AbortController();
  readonly #ended: Promise<unknown>;

  constructor(sessions: Sessions, cursor = '') {
    const { signal } = this.#leaving;
    atEnd(() => this.leave());
    this.#ended = this.#watch(() => sessions.watchRevocations({ cursor }, { signal }), signal);
  }

  /** Until it has begun it comes again: a replica on a loaded machine does not take all at once. */
  async #watch(open: () => AsyncIterable<WatchRevocationsResponse>, leaving: AbortSignal) {
    while (!leaving.aborted && (this.endedWith === undefined || this.firstEvent === undefined)) {
      await this.#read(open()).catch((error: unknown) => {
        this.endedWith = `${error}`;
      });
      await sleep(500);
    }
  }

  async #read(stream: AsyncIterable<WatchRevocationsResponse>): Promise<void> {
    for await (const { event } of stream) {
      this.firstEvent ??= event.case;
      this.caughtUp ||= event.case === 'checkpoint';
      if (event.case !== 'revocation') continue;
      this.revocations += 1;
      this.lastTarget = event.value.target.value;
    }
  }

  leave(): Promise<unknown> {
    this.#leaving.abort();
    return this.#ended;
  }
}

/** Waits until it is true for all of them, and says how far they are if it never is. */
async function untilAll(all: Watcher[], is: (each: Watcher, index: number) => boolean) {
  await eventually(() => all.every(is), PATIENCE_MS).catch((cause) => {
    const left = all.filter((each, index) => !is(each, index));
    const states = new Set(left.map(({ revocations, endedWith }) => `${revocations} ${endedWith}`));
    throw new Error(`${left.length} of ${all.length}: ${[...states].slice(0, 20)}`, { cause });
  });
}

/** What a process holds in memory (bytes). */
function memoryOf({ process: { pid } }: Child): number {
  if (process.platform !== 'linux') {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', `${pid}`])) * 1024;
  }
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

describe(`${WATCHERS} who watch one replica`, () => {
  let service: Service;
  let child: Child;
  let connections: Sessions[];

  before(async () => {
    service = await startService();
    child = await spawnService({
      ...PATIENT,
      DATABASE_URL: service.databaseUrl,
      REDIS_URL,
      COUNTERSIGN_MASTER_KEY: MASTER_KEY,
      COUNTERSIGN_ISSUER: 'https://issuer.test',
      COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      COUNTERSIGN_LOG_LEVEL: 'warn',
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`,
    });
    atEnd(() => child.end('SIGKILL'));
    connections = Array.from(
      { length: Math.ceil(WATCHERS / PER_CONNECTION) },
      () => clients(child).sessions,
    );
  });

  const connectionOf = (index: number) => connections[index % connections.length] as Sessions;

  async function come(): Promise<Watcher[]> {
    const all = Array.from({ length: WATCHERS }, (_, i) => new Watcher(connectionOf(i)));
    await untilAll(all, ({ caughtUp }) => caughtUp);
    return all;
  }

  /** A session ends on the other replica: everyone hears of it, and hears of it once. */
  async function assertToldOnce(all: Watcher[]): Promise<number> {
    const counts = all.map(({ revocations }) => revocations);
    const { refreshToken, sessionId } = await signedIn(service);
    const since = performance.now();
    await service.auth.logout({ refreshToken });
    await untilAll(all, ({ lastTarget }) => lastTarget === sessionId);
    const ms = Math.round(performance.now() - since);
    assert.deepEqual(
      all.map(({ revocations }) => revocations),
      counts.map((count) => count + 1),
    );
    return ms;
  }

  /** Many at once, each of which goes to everyone. */
  async function assertBurstTold(all: Watcher[]): Promise<void> {
    const counts = all.map(({ revocations }) => revocations);
    await sql(
      service.databaseUrl,
      `insert into revocations (id, kind, target, cause, expires_at)
       select gen_random_uuid(), 'session', gen_random_uuid(), 'test',
         now() + interval '30 minutes' from generate_series(1, ${BURST})`,
    );
    await untilAll(all, ({ revocations }, i) => revocations === (counts[i] ?? 0) + BURST);
  }

  const leave = (all: Watcher[]) => Promise.all(all.map((each) => each.leave()));

  it('S09 are all told, in a heap that is bounded', async (t) => {
    const alone = memoryOf(child);
    const all = await come();
    const settled = memoryOf(child);
    const ms = await assertToldOnce(all);
    await assertBurstTold(all);
    const told = memoryOf(child);
    await leave(all);
    const again = await come();
    await assertToldOnce(again);
    const second = memoryOf(child);
    await leave(again);
    const mib = [alone, settled, told, second].map((bytes) => Math.round(bytes / 2 ** 20));
    t.diagnostic(`all told after ${ms} ms; MiB alone, watched, after bursts, anew: ${mib}`);
    assert.ok(told - alone < 200e6 + WATCHERS * 150e3, `${mib}`);
    assert.ok(second - alone < 200e6 + WATCHERS * 150e3, `${mib}`);
  });

  it('S09 start again from a cursor in the future, and are told what comes after', async () => {
    const cursor = Buffer.alloc(9, 1);
    cursor.writeBigUInt64BE(BigInt(Date.now() + 5 * 60_000) * 1000n, 1);
    const all = Array.from(
      { length: WATCHERS / 10 },
      (_, i) => new Watcher(connectionOf(i), cursor.toString('base64url')),
    );
    await untilAll(all, ({ caughtUp }) => caughtUp);
    assert.ok(all.every(({ firstEvent }) => firstEvent === 'resync'));
    await assertToldOnce(all);
    await leave(all);
  });
});
