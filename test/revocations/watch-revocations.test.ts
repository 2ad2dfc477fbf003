import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { Redis } from 'ioredis';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { clients as clientsTo, PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, person, signedIn, signIn } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { Reader, reader, revoke } from './revocation-readers.ts';

/** A part of the Redis server for this file alone, to be flushed. */
const OWN_REDIS = new URL('/10', REDIS_URL).href;
const limits = { checkpointMs: 200 };

async function loggedOut(service: Service): Promise<string> {
  const { refreshToken, sessionId } = await signedIn(service);
  await service.auth.logout({ refreshToken });
  return sessionId;
}

describe('WatchRevocations', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: { REDIS_URL: OWN_REDIS }, limits });
    replica = await startReplica(service, { limits });
  });

  it('S15 says with each checkpoint up to which moment of its own clock a reader has been told', async () => {
    const clock = new TestClock();
    const ahead = await startService({ limits, clock });
    clock.advance(5 * 60_000);
    const startedAt = clock.now();
    const each = await reader(ahead);
    await eventually(() => each.count('checkpoint') > 2);
    const told = each.told.flatMap(({ event }) =>
      event.case === 'checkpoint' && event.value.asOf ? [timestampDate(event.value.asOf)] : [],
    );
    assert.equal(told.length, each.count('checkpoint'));
    for (const asOf of told) assert.ok(asOf <= clock.now());
    // A reader is told what was looked up after it came; dates are in whole milliseconds.
    assert.ok(Number(told[0]) >= Number(startedAt) - 1);
  });

  for (const protocol of PROTOCOLS) {
    it(`S09 tells by ${protocol} what is in force, then that this was all, then what comes, on every replica`, async () => {
      const earlier = await loggedOut(service);
      const readers = [await reader(service, { protocol }), await reader(replica, { protocol })];
      for (const { told } of readers) {
        const first = told.findIndex(({ event }) => event.case === 'checkpoint');
        assert.equal(told[first]?.event.value?.$typeName, 'countersign.v1.Checkpoint');
        assert.deepEqual(
          told[first]?.event.case === 'checkpoint' && told[first].event.value.caughtUp,
          true,
        );
        const before = told.slice(0, first).map(({ event }) => event.case);
        assert.deepEqual(new Set(before), new Set(['revocation']));
      }
      for (const each of readers) assert.equal((await each.hears(earlier)).cause, 'logout');
      const { refreshToken, sessionId, expiresAt } = await signedIn(service);
      await service.auth.logout({ refreshToken });
      for (const each of readers) {
        const told = await each.hears(sessionId);
        assert.deepEqual(told.target, { case: 'sessionId', value: sessionId });
        assert.ok(Number(told.expiresAt?.seconds) >= Number(expiresAt?.seconds));
        assert.equal(each.count('resync'), 0);
      }
    });
  }

  it('keeps sending checkpoints, and says once that it has caught up', async () => {
    const watching = await reader(service);
    await eventually(() => watching.count('checkpoint') >= 4);
    const said = watching.told.flatMap(({ event }) =>
      event.case === 'checkpoint' ? [event.value.caughtUp] : [],
    );
    assert.deepEqual(said.slice(0, 4), [true, false, false, false]);
  });

  it('tells nothing of revocations that concern no valid token', async () => {
    const [over, inForce] = [randomUUID(), randomUUID()];
    await revoke(service, 'session', over, { expiresIn: '-1 second' });
    await revoke(service, 'session', inForce);
    const watching = await reader(service);
    assert.ok(watching.of(inForce));
    assert.equal(watching.of(over), undefined);
  });

  it('continues from a cursor on another replica: what was missed comes, what was told long ago does not', async () => {
    const long = randomUUID();
    await revoke(service, 'session', long, { ago: '2 minutes' });
    const late = await startReplica(service, { limits });
    const other = await startReplica(service, { limits });
    const first = await reader(late);
    assert.ok(first.of(long));
    await first.leave();
    const missed = await loggedOut(service);
    const resumed = await reader(other, { cursor: first.cursor });
    assert.ok(resumed.of(missed));
    assert.equal(resumed.of(long), undefined);
    assert.equal(resumed.count('resync'), 0);
  });

  it('S09 loses nothing in a restart of the replica', async () => {
    const first = await startReplica(service, { limits });
    const watching = await reader(first);
    const heard = await loggedOut(service);
    await watching.hears(heard);
    await first.app.stop();
    const { code, reason } = await refusal(watching.ended.then((error) => Promise.reject(error)));
    assert.deepEqual([code, reason], [Code.Unavailable, 'SHUTTING_DOWN']);
    const missed = await loggedOut(service);
    const second = await startReplica(service, { limits });
    const resumed = await reader(second, { cursor: watching.cursor });
    assert.ok(resumed.of(missed));
    const live = await loggedOut(service);
    await resumed.hears(live);
  });

  it('makes a reader with a bad cursor start again', async () => {
    const inForce = await loggedOut(service);
    const at = (days: number) => {
      const bytes = Buffer.alloc(9, 1);
      bytes.writeBigUInt64BE(BigInt(Date.now() + days * 86_400_000) * 1000n, 1);
      return bytes;
    };
    const unknown = at(0);
    unknown[0] = 2;
    const cursors = {
      future: at(1).toString('base64url'),
      old: at(-1).toString('base64url'),
      ages: Buffer.alloc(9, 1).fill(0, 1).toString('base64url'),
      'of another version': unknown.toString('base64url'),
      junk: 'junk',
      'too long': `${at(0).toString('base64url')}AAAA`,
      'of another alphabet': '+/+/+/+/+/+/',
      'nothing like it': '\u{1f600}'.repeat(20),
      '200 characters': 'A'.repeat(200),
    };
    for (const [kind, cursor] of Object.entries(cursors)) {
      const watching = await reader(service, { cursor });
      assert.equal(watching.told[0]?.event.case, 'resync', kind);
      assert.equal(watching.count('resync'), 1, kind);
      assert.ok(watching.of(inForce), kind);
      await watching.leave();
    }
    const refused = await refusal(
      new Reader(service.sessions, 'A'.repeat(201)).ended.then((e) => Promise.reject(e)),
    );
    assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['cursor']]);
  });

  it('S09 reaches 100 readers at once', async () => {
    const readers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => {
        const { sessions } = own[i % own.length] ?? service;
        return new Reader(sessions);
      }),
    );
    await eventually(() => readers.every((each) => each.caughtUp), 20_000);
    const sessionId = await loggedOut(service);
    await Promise.all(readers.map((each) => each.hears(sessionId)));
    await Promise.all(readers.map((each) => each.leave()));
  });

  it('S09 needs no Redis: neither its data nor Redis itself', async () => {
    const redis = new Redis(OWN_REDIS);
    await redis.flushdb();
    redis.disconnect();
    const before = await reader(replica);
    const flushed = await loggedOut(service);
    await before.hears(flushed);
    const away = await startReplica(service, { limits, env: { REDIS_URL: 'redis://127.0.0.1:1' } });
    const watching = await reader(away);
    assert.ok(watching.of(flushed));
    await watching.hears(await loggedOut(service));
  });

  it('W02 leaves places for others when someone holds their full share', async () => {
    const small = await startReplica(service, { limits: { ...limits, maxWatchers: 8 } });
    const held = [await reader(small), await reader(small)];
    const refused = await refusal(Array.fromAsync(small.sessions.watchRevocations({})));
    assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'OVERLOADED']);
    assert.ok(refused.retryAfterMs);
    const leaving = new AbortController();
    const isServed = (sessions: Service['sessions']) => {
      const told = sessions.watchRevocations({}, { signal: leaving.signal });
      return told[Symbol.asyncIterator]()
        .next()
        .then(
          () => true,
          () => false,
        );
    };
    const { accessToken } = await person(service, 'user', 'admin');
    assert.ok(await isServed(small.client(SessionService, 'grpc', accessToken)));
    for (const each of held) await each.leave();
    await eventually(() => isServed(small.sessions));
    leaving.abort();
  });

  it('W02 gives all addresses of one network one share, since a caller who has one has them all', async () => {
    const env = {
      COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
      COUNTERSIGN_TRUSTED_CALLERS: '2001:db8::/32',
    };
    const small = await startReplica(service, { limits: { ...limits, maxWatchers: 8 }, env });
    const leaving = new AbortController();
    const { signal } = leaving;
    const opened = (address: string) =>
      small.sessions
        .watchRevocations({}, { signal, headers: { 'x-forwarded-for': address } })
        [Symbol.asyncIterator]()
        .next();
    for (const address of ['2001:db8::1', '2001:db8::2']) await opened(address);
    assert.equal((await refusal(opened('2001:db8::3'))).reason, 'OVERLOADED');
    await opened('2001:db8:0:1::1');
    leaving.abort();
  });

  it('frees what it holds for a reader who has gone, and accepts a limited number at once', async () => {
    for (const protocol of PROTOCOLS) {
      const places = { maxWatchers: 2, watcherShare: 1 };
      const small = await startReplica(service, { limits: { ...limits, ...places } });
      const two = [await reader(small, { protocol }), await reader(small, { protocol })];
      const refused = await refusal(
        Array.fromAsync(small.client(SessionService, protocol).watchRevocations({})),
      );
      assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'OVERLOADED']);
      assert.ok(refused.retryAfterMs);
      for (const each of two) await each.leave();
      // Every reader that comes now finds a place, or else a place is never freed.
      for (let next = 0; next < 3; next += 1) {
        await eventually(async () => {
          const another = new Reader(small.client(SessionService, protocol));
          await Promise.race([another.ended, eventually(() => another.caughtUp)]);
          await another.leave();
          return another.caughtUp;
        });
      }
      await small.app.stop();
    }
  });

  const own: Service[] = [];
  before(() => {
    // A connection takes 200 streams.
    own.push(...Array.from({ length: 4 }, () => ({ ...service, ...clientsTo(service.app) })));
  });
});

describe('WatchRevocations, its callers', () => {
  let service: Service;
  let trusting: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
    trusting = await startReplica(service, { env: { COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.0/8' } });
  });

  const refused = (at: Service, accessToken?: string) =>
    refusal(Array.fromAsync(at.client(SessionService, 'grpc', accessToken).watchRevocations({})));

  it('A07 come from a trusted network, or hold the permission', async () => {
    await reader(trusting);
    assert.equal((await refused(service)).reason, 'CREDENTIALS_MISSING');
    const { accessToken } = await signedIn(service);
    for (const at of [service, trusting]) {
      const { code, metadata } = await refused(at, accessToken);
      assert.equal(code, Code.PermissionDenied);
      assert.deepEqual(metadata, { permission: 'tokens.introspect' });
    }
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set roles = '{user,admin}' where email = $1`, [
      email,
    ]);
    const admin = await signIn(service, email);
    await reader(service, { accessToken: admin.accessToken });
  });
});
