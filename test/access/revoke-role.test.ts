import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, adminClient, withRoles } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';
import { newRole, permissionsAt, refreshed, startShop, user } from './shop.ts';

let service: Service;
let replica: Service;
let boss: Administrator;
let watching: Reader;

before(async () => {
  ({ service, boss } = await startShop());
  replica = await startReplica(service);
  watching = await reader(replica);
});

describe('RevokeRole', () => {
  it('S09 takes the role away on every replica, and leaves the session', async () => {
    const name = await newRole(boss, 'orders.read');
    const clerk = await withRoles(service, 'user', name);
    const revoke = { holder: user(clerk.userId), role: name };
    assert.deepEqual((await boss.admin.revokeRole(revoke)).roles, ['user']);
    assert.deepEqual((await boss.admin.revokeRole(revoke)).roles, ['user']);
    for (const at of [service, replica]) {
      const gone = async () => (await permissionsAt(at, clerk.accessToken)) === undefined;
      await eventually(gone);
    }
    const { target, cause } = await watching.hears(clerk.userId);
    assert.deepEqual([target.case, cause], ['subject', 'role_revoked']);
    service.clock.advance(2000);
    const { accessToken } = await refreshed(service, clerk);
    assert.deepEqual(await permissionsAt(replica, accessToken), []);
  });

  it('A05 leaves one administrator after 64 racers on two replicas', async () => {
    const alone = await startService();
    const second = await startReplica(alone);
    const admins = await Promise.all([1, 2, 3, 4].map(() => withRoles(alone, 'user', 'admin')));
    const racers = Array.from({ length: 64 }, (_, i) => {
      const by = admins[i % 4] as Administrator;
      const { userId } = admins[(i + 1 + Math.floor(i / 16)) % 4] as Administrator;
      const admin = adminClient(i % 2 ? alone : second, by);
      const ways = [
        () => admin.revokeRole({ holder: user(userId), role: 'admin' }),
        () => admin.suspendUser({ userId }),
        () => admin.deleteUser({ userId }),
      ];
      return (ways[i % 3] as () => Promise<unknown>)();
    });
    const results = await Promise.allSettled(racers);
    assert.ok(results.some(({ status }) => status === 'fulfilled'));
    const left = await sql(
      alone.databaseUrl,
      `select id from accounts where state = 'active' and roles @> '{admin}'`,
    );
    assert.equal(left.length, 1);
    const last = admins.find(({ userId }) => userId === left[0]?.['id']) as Administrator;
    for (const attempt of [
      () => last.admin.revokeRole({ holder: user(last.userId), role: 'admin' }),
      () => last.admin.suspendUser({ userId: last.userId }),
      () => last.admin.deleteUser({ userId: last.userId }),
    ]) {
      const refused = await refusal(attempt());
      assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'LAST_ADMIN']);
    }
    await last.admin.updateUser({ user: create(UserSchema, { userId: last.userId }) });
  });
});
