import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { newRole, startShop } from './shop.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  ({ service, boss } = await startShop());
});

describe('CreateRole', () => {
  it('adds a role, once', async () => {
    const name = await newRole(boss, 'orders.write', 'orders.read', 'orders.read');
    const { roles } = await boss.admin.listRoles({});
    const role = roles.find((each) => each.name === name);
    assert.deepEqual(role?.permissions, ['orders.read', 'orders.write']);
    assert.ok(role?.etag && !role.builtIn);
    const again = await refusal(boss.admin.createRole({ role: create(RoleSchema, { name }) }));
    assert.deepEqual([again.code, again.reason], [Code.AlreadyExists, 'NAME_TAKEN']);
  });

  it('A05 gives nothing that its author does not hold', async () => {
    const name = await newRole(boss, 'roles.write', 'orders.read');
    const clerk = await withRoles(service, name);
    const attempt = (permissions: string[]) =>
      clerk.admin.createRole({ role: create(RoleSchema, { name: 'more', permissions }) });
    const refused = await refusal(attempt(['orders.read', 'orders.write']));
    assert.deepEqual(
      [refused.reason, refused.metadata],
      ['PERMISSION_DENIED', { permission: 'orders.write' }],
    );
    await attempt(['orders.read']);
  });

  it('refuses permissions that do not exist, and odd names', async () => {
    const attempt = (role: object) => boss.admin.createRole({ role: create(RoleSchema, role) });
    const unknown = await refusal(attempt({ name: 'odd', permissions: ['planets.move'] }));
    assert.deepEqual(unknown.fields, ['role.permissions']);
    for (const name of ['', 'Odd', 'o d', '1', "o'd", 'o'.repeat(41)]) {
      assert.deepEqual((await refusal(attempt({ name }))).fields, ['role.name'], name);
    }
  });
});
