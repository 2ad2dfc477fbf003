import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { isActive, person, signIn, UNKNOWN_ID } from '../harness/people.ts';
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

describe('ReinstateUser', () => {
  it('lets a suspended user sign in again, and can be repeated', async () => {
    const { userId, email } = await person(service);
    await helper.admin.suspendUser({ userId });
    assert.equal((await refusal(signIn(service, email))).reason, 'ACCOUNT_SUSPENDED');
    const { user: back } = await helper.admin.reinstateUser({ userId });
    assert.equal(back?.state, UserState.ACTIVE);
    await helper.admin.reinstateUser({ userId });
    assert.ok(await signIn(service, email));
    const events = await eventsOf(service, userId);
    assert.deepEqual(
      events.filter(({ type }) => type === 'account.reinstated').map(({ actor }) => actor),
      [helper.userId],
    );
  });

  it('restores none of the sessions that the suspension ended', async () => {
    const { userId, accessToken } = await person(service);
    await helper.admin.suspendUser({ userId });
    await helper.admin.reinstateUser({ userId });
    assert.equal(await isActive(service, accessToken), false);
  });

  it('refuses an unknown user', async () => {
    const refused = await refusal(boss.admin.reinstateUser({ userId: UNKNOWN_ID }));
    assert.equal(refused.code, Code.NotFound);
  });
});
