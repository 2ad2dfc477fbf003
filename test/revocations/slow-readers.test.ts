import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import {
  SessionService,
  type WatchRevocationsResponse,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients, PROTOCOLS, type Protocol } from '../harness/clients.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { heldMemory } from '../harness/memory.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { reader } from './revocation-readers.ts';

const MANY = 5000;
const PORTION = 250;
const TARGET_BYTES = 2000;
const limits = { checkpointMs: 200 };

/** Thousands of revocations at once, each so large that no buffer on the way holds them. */
const revokeMany = ({ databaseUrl }: Service, first = 1, last = MANY) =>
  sql(
    databaseUrl,
    `insert into revocations (id, kind, target, cause, expires_at)
     select gen_random_uuid(), 'token', rpad(n::text, ${TARGET_BYTES}, '-'), 'test',
       now() + interval '10 minutes' from generate_series(${first}, ${last}) n`,
  );

/** A reader on its own connection that reads until it has caught up, and then stops. */
async function stalled(service: Service, protocol: Protocol = 'grpc') {
  const leaving = new AbortController();
  atEnd(() => leaving.abort());
  const { client } = clients(service.app);
  const stream = client(SessionService, protocol).watchRevocations({}, { signal: leaving.signal });
  const responses = stream[Symbol.asyncIterator]();
  let last: WatchRevocationsResponse;
  do last = (await responses.next()).value;
  while (last.event.case !== 'checkpoint');
  return responses;
}

/** Keeps reading until the replica says that it has caught up. */
async function readOn(responses: AsyncIterator<WatchRevocationsResponse>) {
  const told: WatchRevocationsResponse[] = [];
  for (;;) {
    const { value, done } = await responses.next();
    if (done) throw new Error('the stream has ended');
    told.push(value);
    if (value.event.case === 'checkpoint' && value.event.value.caughtUp) return told;
  }
}

describe('A slow reader of revocations', () => {
  let service: Service;

  before(async () => {
    service = await startService({ limits });
  });

  it('is told to start again, and then everything in force; meanwhile it costs next to nothing', async () => {
    const slow = await Promise.all(Array.from({ length: 20 }, () => stalled(service)));
    const fast = await reader(service);
    const before = heldMemory();
    // No faster than the fast reader reads, however busy the machine is.
    for (let n = 0; n < MANY; n += PORTION) {
      await revokeMany(service, n + 1, n + PORTION);
      await eventually(() => fast.count('revocation') >= n + PORTION);
    }
    // The record itself is 10 MB, here and with the fast reader; 20 queues would come to 200 MB.
    const grown = heldMemory() - before;
    assert.ok(grown < 80e6, `${grown}`);
    assert.equal(fast.count('resync'), 0);
    const [first] = slow;
    assert.ok(first);
    const told = await readOn(first);
    const cases = told.map(({ event }) => event.case);
    const resync = cases.indexOf('resync');
    assert.ok(resync >= 0 && resync < MANY, `${resync}`);
    assert.equal(told[resync]?.cursor, '');
    const anew = told
      .slice(resync)
      .flatMap(({ event }) => (event.case === 'revocation' ? [event.value.target.value] : []));
    assert.equal(new Set(anew).size, MANY);
  });

  for (const protocol of PROTOCOLS) {
    it(`is dropped by ${protocol} if it takes nothing at all, and learns of it when it reads again`, async () => {
      const patience = { ...limits, readerStallMs: 300, maxWatchers: 1 };
      const own = await startService({ limits: patience });
      const slow = await stalled(own, protocol);
      await revokeMany(own);
      // The one place is free again although the reader has not read.
      await eventually(async () => {
        const { sessions } = clients(own.app);
        const next = sessions.watchRevocations({})[Symbol.asyncIterator]();
        return next.next().then(
          () => true,
          () => false,
        );
      });
      const { code, reason, retryAfterMs } = await refusal(readOn(slow));
      assert.deepEqual([code, reason], [Code.ResourceExhausted, 'OVERLOADED']);
      assert.equal(retryAfterMs, 1000);
    });
  }
});

describe('A revocation that commits late', () => {
  it('S09 reaches watchers, and readers who continue from a cursor past it', async () => {
    const service = await startService({ limits });
    const replica = await startReplica(service, { limits });
    const watching = await reader(replica);
    const [late, later] = [randomUUID(), randomUUID()];
    const insert = `insert into revocations (id, kind, target, cause, expires_at)
      values (gen_random_uuid(), 'session', $1, 'test', now() + interval '10 minutes')`;
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    await client.query('begin');
    await client.query(insert, [late]);
    await sql(service.databaseUrl, insert, [later]);
    await watching.hears(later);
    const checkpoints = watching.count('checkpoint');
    await eventually(() => watching.count('checkpoint') > checkpoints + 2);
    const left = await reader(service);
    await left.leave();
    assert.ok(left.of(later));
    assert.equal(left.of(late), undefined);
    await client.query('commit');
    await client.end();
    await watching.hears(late);
    const resumed = await reader(replica, { cursor: left.cursor });
    assert.ok(resumed.of(late));
    assert.equal(resumed.count('resync'), 0);
  });
});

describe('A replica that cannot look', () => {
  it('S09 sends no checkpoint, and continues when it can', async () => {
    const direct = await createDatabase();
    const proxy = new TcpProxy(direct);
    const service = await startService({ databaseUrl: await proxy.listen(direct), limits });
    atEnd(() => proxy.close());
    const watching = await reader(service);
    proxy.down();
    let checkpoints = -1;
    await eventually(async () => {
      const stands = watching.count('checkpoint') === checkpoints;
      checkpoints = watching.count('checkpoint');
      await sleep(1000);
      return stands;
    }, 20_000);
    const refused = await refusal(Array.fromAsync(service.sessions.watchRevocations({})));
    assert.equal(refused.code, Code.Unavailable);
    const missed = randomUUID();
    await sql(
      direct,
      `insert into revocations (id, kind, target, cause, expires_at)
       values (gen_random_uuid(), 'session', $1, 'test', now() + interval '10 minutes')`,
      [missed],
    );
    proxy.open();
    await watching.hears(missed, 5000);
    await eventually(() => watching.count('checkpoint') > checkpoints);
  });
});
