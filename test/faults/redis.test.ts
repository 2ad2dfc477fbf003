import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { isActive, PASSWORD, signedIn } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { EVERY_FAULT } from '../harness/scale.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { Calls, during, every, FAULTS, LONG, wholeAgain } from './faults.ts';

/** What a call may take longer (ms), and what a machine that is busy makes of it. */
const LONGER_MS = 250;

describe('Redis', () => {
  let proxy: TcpProxy;
  /** Reaches Redis directly, and counts nothing. */
  let other: Service;
  let service: Service;

  before(async () => {
    other = await startService();
    proxy = new TcpProxy(REDIS_URL);
    const env = { REDIS_URL: await proxy.listen(REDIS_URL), COUNTERSIGN_RATE_LIMITS: 'on' };
    service = await startReplica(other, { env });
    atEnd(() => proxy.close());
  });

  const isReady = async () => (await service.app.readiness()).status === 'ready';

  for (const fault of FAULTS) {
    const skip = !EVERY_FAULT && fault.name !== 'in a black hole' && LONG;
    it(`W07 ${fault.name}: signs in and refreshes, accepts nothing revoked, and recovers`, {
      skip,
    }, async () => {
      const [kept, gone] = [await signedIn(other), await signedIn(other)];
      await other.auth.logout({ refreshToken: gone.refreshToken });
      await wholeAgain(performance.now(), 500, isReady);
      let { refreshToken } = kept;
      const refreshes = { quiet: new Calls(), away: new Calls() };
      const signIns = { quiet: new Calls(), away: new Calls() };
      const refresh = async (calls: Calls) => {
        const answer = await calls.make(() => service.auth.refreshToken({ refreshToken }));
        refreshToken = answer?.tokens?.refreshToken ?? refreshToken;
      };
      const signIn = async (calls: Calls) => {
        await calls.make(() => service.auth.login({ email: kept.email, password: PASSWORD }));
      };
      for (let i = 0; i < 3; i += 1) {
        await refresh(refreshes.quiet);
      }
      await signIn(signIns.quiet);

      const openedAt = await during(
        fault,
        proxy,
        every(300, () => refresh(refreshes.away)),
        every(4000, () => signIn(signIns.away)),
        async () => {
          assert.equal(await isActive(service, kept.accessToken), true);
          assert.equal(await isActive(service, gone.accessToken), false);
        },
      );
      await wholeAgain(openedAt, refreshes.quiet.median, isReady);
      for (const { quiet, away } of [refreshes, signIns]) {
        assert.deepEqual([...quiet.refusals, ...away.refusals], []);
        assert.ok(away.median < 5 * quiet.median + LONGER_MS, `${quiet.median} ${away.median}`);
      }
      const meanwhile = await signedIn(other);
      assert.equal(await isActive(service, meanwhile.accessToken), true);
      const revokedAt = performance.now();
      await other.auth.logout({ refreshToken: meanwhile.refreshToken });
      await wholeAgain(revokedAt, refreshes.quiet.median, async () => {
        return !(await isActive(service, meanwhile.accessToken));
      });
    });
  }
});
