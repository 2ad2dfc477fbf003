import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, withRoles } from '../administrators.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, personWithNew, signIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { reader } from '../revocations/revocation-readers.ts';
import { newRole, permissionsAt, refreshed, updateRole, user } from './shop.ts';
import { isCommitting, slowCommits } from './slow-commits.ts';

const OFF_MS = 5 * 60_000;
const OFFSETS = [0, OFF_MS, -OFF_MS];
const ROLE = 'support';

let replicas: Service[];
let bosses: Administrator[];

before(async () => {
  const first = await startService();
  const others = OFFSETS.slice(1).map((ms) => {
    const clock = new TestClock();
    clock.advance(ms);
    return startReplica(first, { clock });
  });
  replicas = [first, ...(await Promise.all(others))];
  bosses = await Promise.all(replicas.map((each) => withRoles(each, 'user', 'admin')));
});

/** The token is refused on all replicas, and a refresh returns a valid one that allows nothing. */
async function assertNarrowed(issuer: Service, clerk: Administrator): Promise<void> {
  for (const at of replicas) {
    await eventually(async () => (await permissionsAt(at, clerk.accessToken)) === undefined);
  }
  const next = await refreshed(issuer, clerk);
  assert.deepEqual(await permissionsAt(issuer, next.accessToken), []);
}

describe('RevokeRole, on replicas whose clocks differ by five minutes', () => {
  for (const [i, from] of OFFSETS.entries()) {
    for (const [j, by] of OFFSETS.entries()) {
      it(`S15 revokes tokens of a clock off by ${from} ms by one off by ${by} ms, and none after`, async () => {
        const [issuer, boss] = [replicas[i], bosses[j]];
        assert.ok(issuer && boss);
        const clerk = await withRoles(issuer, 'user', ROLE);
        assert.notDeepEqual(await permissionsAt(issuer, clerk.accessToken), []);
        await boss.admin.revokeRole({ holder: user(clerk.userId), role: ROLE });
        await assertNarrowed(issuer, clerk);
        const again = await signIn(issuer, clerk.email);
        assert.deepEqual(await permissionsAt(issuer, again.accessToken), []);
      });
    }
  }
});

describe('UpdateRole and DeleteRole, on replicas whose clocks differ by five minutes', () => {
  const LESS: Record<string, (by: Administrator, name: string) => Promise<unknown>> = {
    UpdateRole: (by, name) =>
      updateRole(by, { name, permissions: ['users.read'] }, ['permissions']),
    DeleteRole: (by, name) => by.admin.deleteRole({ name }),
  };
  for (const [method, less] of Object.entries(LESS)) {
    for (const [j, by] of OFFSETS.entries()) {
      it(`S15 ${method} by one off by ${by} ms tells holders, and lets them in again`, async () => {
        const [[issuer], boss] = [replicas, bosses[j]];
        assert.ok(issuer && boss);
        const role = await newRole(boss, 'users.read', 'sessions.read');
        const clerk = await personWithNew(issuer, role);
        const watching = await reader(issuer);
        await less(boss, role);
        const { target } = await watching.hears(clerk.userId, 20_000);
        assert.ok(target.case === 'subject');
        const { notBefore, tokenVersion } = target.value;
        const isLater = Number(notBefore?.seconds) > Number(claimsOf(clerk.accessToken)['iat']);
        assert.ok(tokenVersion > 0 || isLater);
        await eventually(async () => {
          const { accessToken } = await signIn(issuer, clerk.email);
          return (await permissionsAt(issuer, accessToken)) !== undefined;
        });
      });
    }
  }
});

describe('RevokeRole, while it commits slowly', () => {
  for (const [i, from] of OFFSETS.entries()) {
    it(`S15 revokes what is issued meanwhile, by a clock off by ${from} ms`, async () => {
      const [issuer, [boss]] = [replicas[i], bosses];
      assert.ok(issuer && boss);
      const clerk = await withRoles(issuer, 'user', ROLE);
      const release = await slowCommits(issuer);
      const revoked = boss.admin.revokeRole({ holder: user(clerk.userId), role: ROLE });
      await eventually(() => isCommitting(issuer));
      const meanwhile = await refreshed(issuer, clerk);
      assert.notDeepEqual(await permissionsAt(issuer, meanwhile.accessToken), []);
      await release();
      await revoked;
      await assertNarrowed(issuer, meanwhile);
    });
  }
});
