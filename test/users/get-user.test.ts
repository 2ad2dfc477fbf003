import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type Administrator, withRoles } from '../administrators.ts';
import { person, UNKNOWN_ID } from '../harness/people.ts';
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

describe('GetUser', () => {
  it('shows a user, and refuses an unknown one', async () => {
    const { userId, email } = await person(service);
    const { user } = await helper.admin.getUser({ userId });
    assert.deepEqual([user?.userId, user?.email, user?.roles], [userId, email, ['user']]);
    assert.equal((await refusal(boss.admin.getUser({ userId: UNKNOWN_ID }))).code, Code.NotFound);
  });
});
