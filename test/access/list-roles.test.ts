import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { BUILT_IN_PERMISSIONS, BUILT_IN_ROLES } from '../../src/access/permissions.ts';
import type { Administrator } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { startShop } from './shop.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
});

describe('ListRoles', () => {
  it('returns the built-in ones as the program defines them, whatever was done to their rows', async () => {
    await sql(service.databaseUrl, `update roles set permissions = '{}' where name = 'support'`);
    await sql(service.databaseUrl, `delete from roles where name = 'auditor'`);
    await startReplica(service);
    const { roles } = await boss.admin.listRoles({});
    for (const [name, { permissions }] of Object.entries(BUILT_IN_ROLES)) {
      const found = roles.find((role) => role.name === name);
      assert.equal(found?.builtIn, true, name);
      if (name !== 'admin') assert.deepEqual(found?.permissions, [...permissions].sort());
    }
    const all = (await boss.admin.listPermissions({})).permissions.map(({ name }) => name);
    assert.deepEqual(roles.find(({ name }) => name === 'admin')?.permissions, all);
    for (const name of Object.keys(BUILT_IN_PERMISSIONS)) assert.ok(all.includes(name), name);
    assert.ok(all.includes('orders.read'));
  });
});
