import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { Redis } from 'ioredis';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { Forger } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, signedIn, signIn } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';

/** A part of the Redis server for this file alone, to be flushed. */
const OWN_REDIS = new URL('/9', REDIS_URL).href;

describe('Logout', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: { ...PATIENT, REDIS_URL: OWN_REDIS } });
    replica = await startReplica(service);
  });

  const endEvents = (sessionId: string) =>
    sql(
      service.databaseUrl,
      `select id from audit_events where type = 'session.ended' and details->>'session_id' = $1`,
      [sessionId],
    );

  /** A client of the service that calls with this access token. */
  const as = (accessToken: string, at = service) => at.client(AuthService, 'grpc', accessToken);

  it('S09 ends the session of a refresh token on every replica', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { accessToken, refreshToken } = await signedIn(service);
      assert.equal(await isActive(replica, accessToken), true);
      await service.auth.logout({ refreshToken });
      assert.equal(await isActive(service, accessToken), false);
      await eventually(async () => !(await isActive(replica, accessToken)));
      const refused = await refusal(replica.auth.refreshToken({ refreshToken }));
      assert.equal(refused.reason, 'TOKEN_REVOKED');
    }
  });

  it('ends the session of an older generation of its refresh token', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    const second = (await service.auth.refreshToken({ refreshToken })).tokens;
    const third = (await service.auth.refreshToken({ refreshToken: second?.refreshToken ?? '' }))
      .tokens;
    await service.auth.logout({ refreshToken });
    assert.equal(await isActive(service, accessToken), false);
    assert.equal(await isActive(service, third?.accessToken ?? ''), false);
  });

  it('ends the session of the call’s own access token if the field is empty', async () => {
    const { accessToken, sessionId } = await signedIn(service);
    await as(accessToken).logout({});
    assert.equal(await isActive(service, accessToken), false);
    assert.equal((await endEvents(sessionId)).length, 1);
  });

  it('ends the session of the refresh token, not of the access token beside it', async () => {
    const [own, other] = [await signedIn(service), await signedIn(service)];
    await as(own.accessToken).logout({ refreshToken: other.refreshToken });
    assert.equal(await isActive(service, own.accessToken), true);
    assert.equal(await isActive(service, other.accessToken), false);
  });

  it('leaves the other sessions of the account alone', async () => {
    const first = await signedIn(service);
    const second = await signIn(service, first.email);
    await service.auth.logout({ refreshToken: first.refreshToken });
    assert.equal(await isActive(service, second.accessToken), true);
    await service.auth.refreshToken({ refreshToken: second.refreshToken });
  });

  it('answers like a success when called again, and notes it once', async () => {
    const { accessToken, refreshToken, sessionId } = await signedIn(service);
    for (let call = 0; call < 3; call += 1) await service.auth.logout({ refreshToken });
    // A client that lost the answer asks again with the access token that no longer works.
    for (let call = 0; call < 3; call += 1) await as(accessToken).logout({});
    assert.equal((await endEvents(sessionId)).length, 1);
  });

  it('E01 notes one end if 32 calls on two replicas come at once', async () => {
    const { refreshToken, sessionId } = await signedIn(service);
    await Promise.all(
      Array.from({ length: 32 }, (_, i) =>
        (i % 2 ? service : replica).auth.logout({ refreshToken }),
      ),
    );
    assert.equal((await endEvents(sessionId)).length, 1);
    const revocations = await sql(
      service.databaseUrl,
      'select distinct cause from revocations where target = $1',
      [sessionId],
    );
    assert.deepEqual(revocations, [{ cause: 'logout' }]);
  });

  it('answers like a success for a token that is not ours', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    for (const token of [
      'junk',
      'csr_',
      `${refreshToken.slice(0, -2)}zz`,
      accessToken.slice(0, 99),
    ]) {
      await service.auth.logout({ refreshToken: token });
    }
    assert.equal(await isActive(service, accessToken), true);
  });

  it('asks for a credential if the field is empty', async () => {
    const missing = await refusal(service.auth.logout({}));
    assert.deepEqual([missing.code, missing.reason], [Code.Unauthenticated, 'CREDENTIALS_MISSING']);
    const invalid = await refusal(as('a.b.c').logout({}));
    assert.deepEqual([invalid.code, invalid.reason], [Code.Unauthenticated, 'TOKEN_INVALID']);
    const forger = await Forger.of(service);
    const expired = await refusal(as(await forger.token({ exp: 1, iat: 0 })).logout({}));
    assert.deepEqual([expired.code, expired.reason], [Code.Unauthenticated, 'TOKEN_EXPIRED']);
  });

  it('S09 lasts forever: after a flush of Redis, and on a replica that starts later', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    const redis = new Redis(OWN_REDIS);
    await redis.flushdb();
    redis.disconnect();
    const third = await startReplica(service);
    for (const each of [service, replica, third]) {
      assert.equal(await isActive(each, accessToken), false);
      const refused = await refusal(each.auth.refreshToken({ refreshToken }));
      assert.equal(refused.reason, 'TOKEN_REVOKED');
    }
    await third.app.stop();
    const again = await startReplica(service);
    assert.equal(await isActive(again, accessToken), false);
  });

  it('S09 reaches the other replica even without Redis', async () => {
    // Nothing listens there: hints are lost, and both look for themselves.
    const withoutRedis = { env: { REDIS_URL: 'redis://127.0.0.1:1' } };
    const [one, two] = [
      await startReplica(service, withoutRedis),
      await startReplica(service, withoutRedis),
    ];
    const { accessToken, refreshToken } = await signedIn(one);
    assert.equal(await isActive(two, accessToken), true);
    await one.auth.logout({ refreshToken });
    await eventually(async () => !(await isActive(two, accessToken)));
  });

  it('S09 outlives the token: it is kept until the token has expired', async () => {
    const { accessToken, refreshToken, expiresAt } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    const left = Number(expiresAt?.seconds) * 1000 - service.clock.now().getTime();
    service.clock.advance(left - 2000);
    const fresh = await startReplica(service);
    assert.equal(await isActive(service, accessToken), false);
    assert.equal(await isActive(fresh, accessToken), false);
    await eventually(async () => !(await isActive(replica, accessToken)));
  });
});
