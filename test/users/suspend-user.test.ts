import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, person, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

let service: Service;
let replica: Service;
let helper: Administrator;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  helper = await withRoles(service, 'user', 'support');
});

describe('SuspendUser', () => {
  it('S09 ends all that the user has, everywhere', async () => {
    const { userId, accessToken, refreshToken, email } = await person(service);
    const { user } = await helper.admin.suspendUser({ userId, reason: 'spam' });
    assert.equal(user?.state, UserState.SUSPENDED);
    assert.equal(await isActive(service, accessToken), false);
    await eventually(async () => !(await isActive(replica, accessToken)));
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    assert.equal((await refusal(signIn(service, email))).reason, 'ACCOUNT_SUSPENDED');
    await helper.admin.suspendUser({ userId });
    const events = await eventsOf(service, userId);
    const suspended = events.filter(({ type }) => type === 'account.suspended');
    assert.deepEqual(suspended, [
      {
        type: 'account.suspended',
        actor: helper.userId,
        details: {},
        personal: { reason: 'spam' },
      },
    ]);
  });
});
