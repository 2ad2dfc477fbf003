import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, person, signIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

let service: Service;
let replica: Service;
let helper: Administrator;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  helper = await withRoles(service, 'user', 'support');
});

describe('RevokeUserSessions', () => {
  it('ends all of the sessions, on every replica', async () => {
    const first = await person(service);
    const second = await signIn(service, first.email);
    const { userId } = first;
    assert.equal((await helper.admin.revokeUserSessions({ userId })).revokedCount, 2);
    assert.equal((await helper.admin.revokeUserSessions({ userId })).revokedCount, 0);
    for (const { accessToken } of [first, second]) {
      await eventually(async () => !(await isActive(replica, accessToken)));
    }
    const ended = (await eventsOf(service, userId)).find(({ type }) => type === 'sessions.ended');
    assert.equal(ended?.actor, helper.userId);
  });
});
