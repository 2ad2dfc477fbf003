import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, PASSWORD, signedIn } from '../harness/people.ts';
import { EVERY_FAULT } from '../harness/scale.ts';
import { DEFAULT_LIMITS, type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { assertAway, Calls, during, FAULTS, LONG, wholeAgain } from './faults.ts';

const POOL = 4;
/** Memory is trusted for ten seconds, and was last brought up to date within the last second or two. */
const SURELY_TRUSTED_MS = 8000;
/** The promise is one second for each call; a machine that is busy gets more. */
const AT_ONCE_MS = 8000;

describe('PostgreSQL', () => {
  let proxy: TcpProxy;
  /** Reaches the database directly. */
  let other: Service;
  let service: Service;

  before(async () => {
    other = await startService();
    proxy = new TcpProxy(other.databaseUrl);
    const DATABASE_URL = await proxy.listen(other.databaseUrl);
    const env = { ...DEFAULT_LIMITS, DATABASE_URL, COUNTERSIGN_DB_POOL_MAX: String(POOL) };
    service = await startReplica(other, { env });
    atEnd(() => proxy.close());
  });

  /** More calls at once than there are connections, of which the refresh gives the next token. */
  async function everything(kept: Tokens & { email: string }): Promise<boolean> {
    const logins = Array.from({ length: POOL * 2 }, () =>
      service.auth.login({ email: kept.email, password: PASSWORD }),
    );
    const settled = await Promise.allSettled([isActive(service, kept.accessToken), ...logins]);
    return settled.every(({ status }) => status === 'fulfilled');
  }

  for (const fault of FAULTS) {
    const skip = !EVERY_FAULT && fault.name !== 'in a black hole' && LONG;
    it(`W06 S14 ${fault.name}: answers soon, loses no session, accepts nothing revoked, and recovers`, {
      skip,
    }, async () => {
      const [kept, gone, meanwhile] = [
        await signedIn(service),
        await signedIn(service),
        await signedIn(service),
      ];
      await service.auth.logout({ refreshToken: gone.refreshToken });
      for (const { accessToken } of [kept, meanwhile]) await isActive(service, accessToken);
      const quietFrom = performance.now();
      await eventually(() => everything(kept));
      const quietMs = performance.now() - quietFrom;

      let { refreshToken } = kept;
      const calls = new Calls();
      const checks = new Calls();
      const refresh = async () => {
        const answer = await calls.make(() => service.auth.refreshToken({ refreshToken }));
        refreshToken = answer?.tokens?.refreshToken ?? refreshToken;
      };
      const from = performance.now();
      const check = async () => {
        const answer = await checks.make(() => isActive(service, kept.accessToken));
        assert.notEqual(answer, false);
        const isTrusted = performance.now() - from < SURELY_TRUSTED_MS;
        if (isTrusted) assert.deepEqual(checks.refusals, []);
        assert.notEqual(await checks.make(() => isActive(service, gone.accessToken)), true);
      };
      const signIn = () =>
        calls.make(() => service.auth.login({ email: kept.email, password: PASSWORD }));
      const revoked = other.auth.logout({ refreshToken: meanwhile.refreshToken });
      const openedAt = await during(fault, proxy, refresh, check, signIn);
      await revoked;
      await wholeAgain(openedAt, quietMs, () => everything(kept));
      await wholeAgain(openedAt, quietMs, async () => {
        return !(await isActive(service, meanwhile.accessToken));
      });

      for (const each of [...calls.refusals, ...checks.refusals]) assertAway(each);
      for (const ms of [...calls.durations, ...checks.durations]) assert.ok(ms < AT_ONCE_MS);
      if (!fault.isLate) assert.ok(calls.refusals.length > 0);
      await service.auth.refreshToken({ refreshToken });
      assert.equal(await isActive(service, gone.accessToken), false);
    });
  }
});
