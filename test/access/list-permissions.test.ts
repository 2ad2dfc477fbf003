import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { BUILT_IN_PERMISSIONS } from '../../src/access/permissions.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { startShop } from './shop.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
});

describe('ListPermissions', () => {
  it('returns the built-in ones and those of the customer', async () => {
    const { permissions } = await boss.admin.listPermissions({});
    const shown = new Map(permissions.map(({ name, ...rest }) => [name, rest]));
    for (const name of Object.keys(BUILT_IN_PERMISSIONS)) {
      assert.equal(shown.get(name)?.builtIn, true, name);
    }
    assert.equal(shown.get('orders.read')?.builtIn, false);
    assert.equal(shown.get('orders.read')?.description, 'Of the shop.');
    assert.equal(shown.size, Object.keys(BUILT_IN_PERMISSIONS).length + 2);
  });

  it('requires the permission', async () => {
    const nobody = await withRoles(service, 'user');
    const refused = await refusal(nobody.admin.listPermissions({}));
    assert.deepEqual([refused.code, refused.reason], [Code.PermissionDenied, 'PERMISSION_DENIED']);
  });
});
