import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { isActive, person } from '../harness/people.ts';
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

describe('DeleteUser', () => {
  it('C13 erases the account, and records who did it', async () => {
    const { userId, email, accessToken } = await person(service);
    await helper.admin.deleteUser({ userId });
    assert.equal(await isActive(service, accessToken), false);
    assert.equal((await refusal(boss.admin.getUser({ userId }))).reason, 'NOT_FOUND');
    assert.equal((await refusal(boss.admin.deleteUser({ userId }))).reason, 'NOT_FOUND');
    await service.mail.next(email, /deleted/);
    const events = await eventsOf(service, userId);
    const { actor } = events.find(({ type }) => type === 'account.deleted') ?? {};
    assert.equal(actor, helper.userId);
    assert.equal(JSON.stringify(events).includes(email), false);
  });
});
