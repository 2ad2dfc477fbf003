import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newEmail, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;
let boss: Administrator;
let helper: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
  helper = await withRoles(service, 'user', 'support');
});

describe('An administrator, to a caller who may do less', () => {
  it('A05 is out of reach, except for help', async () => {
    const { userId } = await withRoles(service, 'user', 'admin');
    const auditor = await withRoles(service, 'user', 'auditor');
    const user = create(UserSchema, { userId, displayName: 'x' });
    const { admin } = helper;
    for (const attempt of [
      () => admin.suspendUser({ userId }),
      () => admin.deleteUser({ userId }),
      () => admin.updateUser({ user }),
      () => admin.reinstateUser({ userId }),
      () => admin.unlockUser({ userId }),
      () => admin.sendPasswordReset({ userId }),
      () => admin.suspendUser({ userId: auditor.userId }),
    ]) {
      const refused = await refusal(attempt());
      assert.deepEqual(
        [refused.code, refused.reason],
        [Code.PermissionDenied, 'PERMISSION_DENIED'],
      );
      assert.ok(refused.metadata['permission']);
    }
    await admin.revokeUserSessions({ userId });
  });

  it('A05 is out of reach for a caller who has just been demoted', async () => {
    const late = await withRoles(service, 'user', 'admin');
    const { userId } = await person(service);
    await boss.admin.revokeRole({
      holder: { case: 'userId', value: late.userId },
      role: 'admin',
    });
    const refused = await refusal(late.admin.suspendUser({ userId }));
    assert.equal(refused.reason, 'TOKEN_REVOKED');
  });

  it('A04 requires a recent sign-in for anything that does harm', async () => {
    const { userId } = await person(service);
    const stale = await withRoles(service, 'user', 'admin');
    service.clock.advance(601_000);
    const { tokens } = await service.auth.refreshToken({ refreshToken: stale.refreshToken });
    const admin = service.client(AdminService, 'grpc', tokens?.accessToken ?? '');
    assert.ok((await admin.getUser({ userId })).user);
    for (const attempt of [
      () => admin.deleteUser({ userId }),
      () => admin.updateUser({ user: create(UserSchema, { userId }) }),
      () => admin.createUser({ email: newEmail() }),
      () => admin.grantRole({ holder: { case: 'userId', value: userId }, role: 'admin' }),
    ]) {
      assert.equal((await refusal(attempt())).reason, 'REAUTHENTICATION_REQUIRED');
    }
  });
});
