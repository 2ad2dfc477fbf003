import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Administrator } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { newRole, refreshed, startShop } from './shop.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
});

describe('DeletePermission', () => {
  it('deletes a permission of the customer, but not while a role includes it', async () => {
    await boss.admin.createPermission({ permission: { name: 'ships.sail', description: '' } });
    boss = await refreshed(service, boss);
    const role = await newRole(boss, 'ships.sail');
    const used = await refusal(boss.admin.deletePermission({ name: 'ships.sail' }));
    assert.deepEqual([used.reason, used.metadata], ['IN_USE', { role }]);
    await boss.admin.deleteRole({ name: role });
    await boss.admin.deletePermission({ name: 'ships.sail' });
    const { permissions } = await boss.admin.listPermissions({});
    assert.ok(permissions.every(({ name }) => name !== 'ships.sail'));
  });

  it('refuses an unknown one, and a built-in one', async () => {
    assert.equal((await refusal(boss.admin.deletePermission({ name: 'x.y' }))).reason, 'NOT_FOUND');
    const fixed = await refusal(boss.admin.deletePermission({ name: 'users.read' }));
    assert.equal(fixed.reason, 'BUILT_IN');
  });
});
