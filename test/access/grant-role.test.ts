import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { newRole, permissionsAt, refreshed, startShop, user } from './shop.ts';

let service: Service;
let replica: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
  replica = await startReplica(service);
});

describe('GrantRole', () => {
  it('grants a role, which comes with the next refresh, and only once', async () => {
    const name = await newRole(boss, 'orders.read');
    const person = await withRoles(service, 'user');
    const grant = { holder: user(person.userId), role: name };
    assert.deepEqual((await boss.admin.grantRole(grant)).roles, ['user', name]);
    assert.deepEqual((await boss.admin.grantRole(grant)).roles, ['user', name]);
    const { accessToken } = await refreshed(service, person);
    assert.deepEqual(await permissionsAt(replica, accessToken), ['orders.read']);
    const granted = (await eventsOf(service, person.userId)).filter(
      ({ type }) => type === 'role.granted',
    );
    assert.deepEqual(
      granted.map(({ actor, details }) => [actor, details]),
      [[boss.userId, { role: name, before: ['user'], after: ['user', name] }]],
    );
  });

  it('A05 grants nothing that the caller does not hold, such as the administrators’ role', async () => {
    const clerk = await withRoles(service, await newRole(boss, 'roles.write', 'orders.read'));
    const mine = await newRole(boss, 'orders.read');
    const grant = (role: string) => clerk.admin.grantRole({ holder: user(clerk.userId), role });
    for (const role of ['admin', 'support', await newRole(boss, 'orders.write')]) {
      assert.equal((await refusal(grant(role))).reason, 'PERMISSION_DENIED', role);
    }
    await grant(mine);
  });

  it('names what does not exist, and stops at ten', async () => {
    const { userId } = await withRoles(service, 'user');
    const grant = (role: string, id = userId) => boss.admin.grantRole({ holder: user(id), role });
    assert.equal((await refusal(grant('nobody'))).reason, 'NOT_FOUND');
    assert.equal((await refusal(grant('user', UNKNOWN_ID))).reason, 'NOT_FOUND');
    const bare = await refusal(boss.admin.grantRole({ role: 'user' }));
    assert.equal(bare.code, Code.InvalidArgument);
    for (let i = 1; i < 10; i += 1) await grant(await newRole(boss));
    assert.equal((await refusal(grant(await newRole(boss)))).reason, 'TOO_MANY');
  });
});
