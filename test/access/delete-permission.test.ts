import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Administrator } from '../administrators.ts';
import { newKey, verify } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
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

  it('A08 takes it from API keys, which do not have it back when it is made again', async () => {
    const permission = { name: 'ships.sink', description: '' };
    await boss.admin.createPermission({ permission });
    boss = await refreshed(service, boss);
    const { secret } = await newKey(service, boss, { scopes: ['ships.sink', 'users.read'] });
    const scopes = async () => (await verify(service, secret)).principal?.scopes;
    assert.deepEqual(await scopes(), ['ships.sink', 'users.read']);
    await boss.admin.deletePermission({ name: 'ships.sink' });
    await boss.admin.createPermission({ permission });
    await eventually(async () => String(await scopes()) === 'users.read');
    boss = await refreshed(service, boss);
    const { secret: another } = await newKey(service, boss, { scopes: ['ships.sink'] });
    assert.deepEqual((await verify(service, another)).principal?.scopes, ['ships.sink']);
    assert.deepEqual(await scopes(), ['users.read']);
  });

  it('A08 is waited for by whoever gives it to a key meanwhile, and finds the key', async () => {
    const permission = { name: 'ships.board', description: '' };
    await boss.admin.createPermission({ permission });
    boss = await refreshed(service, boss);
    const racing = Array.from({ length: 8 }, () =>
      newKey(service, boss, { scopes: ['ships.board'] }).catch(() => undefined),
    );
    await boss.admin.deletePermission({ name: 'ships.board' });
    await Promise.all(racing);
    const left = await sql(
      service.databaseUrl,
      `select 1 from api_keys where 'ships.board' = any(scopes)`,
    );
    assert.equal(left.length, 0);
  });

  it('refuses an unknown one, and a built-in one', async () => {
    assert.equal((await refusal(boss.admin.deletePermission({ name: 'x.y' }))).reason, 'NOT_FOUND');
    const fixed = await refusal(boss.admin.deletePermission({ name: 'users.read' }));
    assert.equal(fixed.reason, 'BUILT_IN');
  });
});
