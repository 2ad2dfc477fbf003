import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type Administrator, withRoles } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { newRole, permissionsAt, refreshed, startShop } from './shop.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
});

describe('CreatePermission', () => {
  it('adds a permission that roles can include, once', async () => {
    const permission = { name: 'ships.sail', description: 'Of the fleet.' };
    await boss.admin.createPermission({ permission });
    const again = boss.admin.createPermission({ permission });
    assert.equal((await refusal(again)).reason, 'NAME_TAKEN');
    boss = await refreshed(service, boss);
    const clerk = await withRoles(service, await newRole(boss, 'ships.sail'));
    assert.deepEqual(await permissionsAt(service, clerk.accessToken), ['ships.sail']);
  });

  it('refuses odd names', async () => {
    for (const name of ['', 'ships', 'Ships.sail', 'ships.', "ships.sail'"]) {
      const refused = await refusal(boss.admin.createPermission({ permission: { name } }));
      assert.deepEqual(refused.fields, ['permission.name'], name);
    }
  });

  it('creates no more than an administrator’s token can hold', async () => {
    const create = (i: number) =>
      boss.admin.createPermission({ permission: { name: `filler${i}.${'x'.repeat(50)}` } });
    let last: unknown;
    for (let i = 100; i < 200 && !last; i += 1) await create(i).catch((error) => (last = error));
    const refused = await refusal(Promise.reject(last));
    assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'TOO_MANY']);
    boss = await refreshed(service, boss);
    assert.ok((await permissionsAt(service, boss.accessToken))?.length);
  });
});
