import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { person, signIn } from '../harness/people.ts';
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

describe('UnlockUser', () => {
  it('accepts the correct password again', async () => {
    const { userId, email } = await person(service);
    for (let i = 0; i < 5; i += 1) await refusal(signIn(service, email, 'wrong'));
    await refusal(signIn(service, email));
    assert.ok((await boss.admin.getUser({ userId })).user?.lockedUntil);
    const { user } = await helper.admin.unlockUser({ userId });
    assert.equal(user?.lockedUntil, undefined);
    assert.ok(await signIn(service, email));
    await helper.admin.unlockUser({ userId });
    const events = await eventsOf(service, userId);
    assert.equal(events.filter(({ type }) => type === 'account.unlocked').length, 1);
  });
});
