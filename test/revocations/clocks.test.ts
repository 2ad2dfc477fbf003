import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { noHints } from '../../src/platform/redis-hints.ts';
import { RevocationFeed } from '../../src/revocations/revocation-feed.ts';
import { openDatabase } from '../../src/schema.ts';
import { Forger, judge } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';

const MINUTE = 60_000;
const OFF = 5 * MINUTE;
/** A token that is from this much later is not one of ours yet (seconds). */
const LEEWAY = 5;
/** How often memory drops what has expired, and a little more. */
const SWEPT_MS = 5500;

function clockOff(ms: number): TestClock {
  const clock = new TestClock();
  clock.advance(ms);
  return clock;
}

const seconds = ({ clock }: Service) => Math.floor(clock.now().getTime() / 1000);
const isActive = async (at: Service, { accessToken: token }: Pick<Tokens, 'accessToken'>) =>
  (await at.sessions.introspectToken({ token })).active;
const refresh = async (at: Service, refreshToken: string): Promise<Tokens> => {
  const { tokens } = await at.auth.refreshToken({ refreshToken });
  assert.ok(tokens);
  return tokens;
};

describe('An access token, on a replica whose clock is off', () => {
  let issuer: Service;
  let forger: Forger;

  before(async () => {
    issuer = await startService();
    forger = await Forger.of(issuer);
  });

  const replicaOff = (ms: number) => startReplica(issuer, { clock: clockOff(ms) });

  /** A valid token of the issuer, but for these times, in seconds from now. */
  const token = (times: { iat?: number; nbf?: number; exp?: number }) => {
    const now = seconds(issuer);
    return forger.token(Object.fromEntries(Object.entries(times).map(([k, v]) => [k, now + v])));
  };

  it('S01 is accepted from five seconds in the future, and no further', async () => {
    const behind = await replicaOff(-OFF);
    const late = -OFF / 1000;
    for (const [at, from] of [
      [issuer, 0],
      [behind, late],
    ] as const) {
      for (const claim of ['iat', 'nbf']) {
        const near = await token({ iat: from, [claim]: from + LEEWAY });
        assert.equal(await judge(at, near), 'accepted', claim);
        const far = await token({ iat: from, [claim]: from + LEEWAY + 2 });
        assert.equal(await judge(at, far), 'TOKEN_INVALID', claim);
      }
    }
  });

  it('S01 five minutes behind: opens nothing before its time, and nothing after its end by that clock', async () => {
    const behind = await replicaOff(-OFF);
    const fresh = await signedIn(issuer);
    assert.equal(await isActive(issuer, fresh), true);
    assert.equal(await isActive(behind, fresh), false);
    behind.clock.advance(OFF - (LEEWAY - 2) * 1000);
    assert.equal(await isActive(behind, fresh), true);
    const left = Number(fresh.expiresAt?.seconds) * 1000 - behind.clock.now().getTime();
    behind.clock.advance(left - 1000);
    assert.equal(await isActive(behind, fresh), true);
    behind.clock.advance(1000);
    assert.equal(await isActive(behind, fresh), false);
  });

  it('S01 five minutes ahead: has ended as much earlier there, seen before or not', async () => {
    const ahead = await replicaOff(OFF);
    const end = OFF / 1000;
    const seen = await token({ iat: -1, exp: end + 60 });
    assert.equal(await judge(ahead, seen), 'accepted');
    for (const exp of [end - 1, end]) {
      assert.equal(await judge(ahead, await token({ iat: -1, exp })), 'TOKEN_EXPIRED');
    }
    ahead.clock.advance(MINUTE);
    assert.equal(await judge(ahead, seen), 'TOKEN_EXPIRED');
    const unseen = await token({ iat: -2, exp: end + 60 });
    assert.equal(await judge(ahead, unseen), 'TOKEN_EXPIRED');
    assert.equal(await judge(issuer, seen), 'accepted');
  });

  it('S01 ends at its end however the clock steps, and a known one says the same as a new one', async () => {
    const stepping = await replicaOff(0);
    const known = await token({ iat: -OFF / 1000, exp: 60 });
    let unseen = 0;
    const says = async () => {
      unseen -= 1;
      const other = await token({ iat: unseen - OFF / 1000, exp: 60 });
      const [one, two] = [await judge(stepping, known), await judge(stepping, other)];
      assert.equal(one, two);
      return one;
    };
    assert.equal(await says(), 'accepted');
    for (let step = 0; step < 3; step += 1) {
      stepping.clock.advance(OFF);
      assert.equal(await says(), 'TOKEN_EXPIRED');
      stepping.clock.advance(-OFF);
      assert.equal(await says(), 'accepted');
    }
    stepping.clock.advance(MINUTE);
    assert.equal(await says(), 'TOKEN_EXPIRED');
    assert.equal(await says(), 'TOKEN_EXPIRED');
  });
});

describe('A revocation, with clocks that are off', () => {
  const OFFSETS = [0, OFF, -OFF];

  /** Deletes from the table as the replica does from time to time. */
  async function forgetExpired({ env, clock }: Service): Promise<void> {
    const config = readConfig(env, () => '');
    const log = createLog('silent');
    const database = await openDatabase(config, log);
    const keys = { drop: () => {} };
    const feed = new RevocationFeed({ ...config, database, clock, log, hints: noHints, keys });
    while (await feed.forgetExpired());
    await database.close();
  }

  it('S09 lasts as long as any of them accepts the token, whichever issued it and whichever revoked it', async () => {
    const first = await startService();
    const replicas = await Promise.all(
      OFFSETS.map((ms) => startReplica(first, { clock: clockOff(ms) })),
    );
    const kept = await Promise.all(replicas.map((issuer) => signedIn(issuer)));
    const revoked: Tokens[] = [];
    for (const issuer of replicas) {
      for (const revoker of replicas) {
        const tokens = await signedIn(issuer);
        await revoker.auth.logout({ refreshToken: tokens.refreshToken });
        revoked.push(tokens);
      }
    }
    let accepted = 0;
    for (let minute = 4; minute <= 24; minute += 4) {
      for (const { clock } of replicas) clock.advance(4 * MINUTE);
      await Promise.all(replicas.map(forgetExpired));
      // One that comes up now knows what the table knows, and no more: by each clock in turn.
      const late = await startReplica(replicas[(minute / 4) % replicas.length] ?? first);
      for (const at of [...replicas, late]) {
        for (const each of revoked) assert.equal(await isActive(at, each), false, `${minute}`);
        for (const each of kept) accepted += (await isActive(at, each)) ? 1 : 0;
      }
      await late.app.stop();
    }
    assert.ok(accepted > 0);
    for (const at of replicas)
      for (const each of kept) assert.equal(await isActive(at, each), false);
  });

  it('S09 outlasts a clock that runs ahead and steps back', async () => {
    const service = await startService();
    const [kept, revoked] = [await signedIn(service), await signedIn(service)];
    assert.equal(await isActive(service, revoked), true);
    await service.auth.logout({ refreshToken: revoked.refreshToken });
    // Past the end of the token, long enough for what has expired to be swept out of memory.
    service.clock.advance(12 * MINUTE);
    await sleep(SWEPT_MS);
    await forgetExpired(service);
    service.clock.advance(-OFF);
    assert.equal(await isActive(service, kept), true);
    for (const at of [service, await startReplica(service)]) {
      assert.equal(await isActive(at, revoked), false);
    }
  });
});

describe('RefreshToken, with clocks that are off', () => {
  const endCause = async ({ databaseUrl }: Service, { sessionId }: Tokens) => {
    const [row] = await sql<{ end_cause: string | null }>(
      databaseUrl,
      'select end_cause from sessions where id = $1',
      [sessionId],
    );
    return row?.end_cause;
  };

  it('S06 by a clock that stepped back: the same successor, once; and reuse is reuse', async () => {
    const service = await startService();
    const first = await signedIn(service);
    const second = await refresh(service, first.refreshToken);
    service.clock.advance(-OFF);
    const again = await refresh(service, first.refreshToken);
    assert.equal(again.refreshToken, second.refreshToken);
    assert.equal(await isActive(service, again), true);
    assert.equal(await endCause(service, first), null);
    const third = await refresh(service, second.refreshToken);
    assert.notEqual(third.refreshToken, second.refreshToken);
    assert.equal(await isActive(service, third), true);
    const { reason } = await refusal(refresh(service, first.refreshToken));
    assert.equal(reason, 'REFRESH_TOKEN_REUSED');
    assert.equal(await endCause(service, first), 'refresh_token_reused');
    for (const each of [again, third]) assert.equal(await isActive(service, each), false);
  });

  it('S05 S06 by a clock that steps between every two calls: one successor each, and no alarm', async () => {
    const service = await startService();
    const first = await signedIn(service);
    let { refreshToken } = first;
    for (const step of [-OFF, OFF, OFF, -OFF, -OFF, OFF]) {
      service.clock.advance(step);
      const next = await refresh(service, refreshToken);
      if (step < 0) service.clock.advance(-OFF);
      const retried = await refresh(service, refreshToken);
      assert.equal(retried.refreshToken, next.refreshToken);
      if (step < 0) service.clock.advance(OFF);
      refreshToken = next.refreshToken;
    }
    assert.equal(await endCause(service, first), null);
  });

  it('S05 on replicas whose clocks are off: goes from one to the other, and back', async () => {
    const issuer = await startService();
    const others = [OFF, -OFF].map((ms) => startReplica(issuer, { clock: clockOff(ms) }));
    const replicas = [issuer, ...(await Promise.all(others))];
    const first = await signedIn(issuer);
    let { refreshToken } = first;
    for (const at of [...replicas, ...replicas.toReversed()]) {
      const next = await refresh(at, refreshToken);
      assert.equal(await isActive(at, next), true);
      refreshToken = next.refreshToken;
    }
    assert.equal(await endCause(issuer, first), null);
  });

  it('S06 on a replica that is behind: a lost answer is found again there', async () => {
    const issuer = await startService();
    const behind = await startReplica(issuer, { clock: clockOff(-OFF) });
    const first = await signedIn(issuer);
    const racers = Array.from({ length: 64 }, () => refresh(issuer, first.refreshToken));
    const lost = new Set((await Promise.all(racers)).map((each) => each.refreshToken));
    assert.equal(lost.size, 1);
    const found = await refresh(behind, first.refreshToken);
    assert.deepEqual([...lost], [found.refreshToken]);
    assert.equal(await endCause(issuer, first), null);
  });
});
