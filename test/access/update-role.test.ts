import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type Administrator, withRoles } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';
import { newRole, permissionsAt, refreshed, startShop, updateRole } from './shop.ts';

let service: Service;
let replica: Service;
let boss: Administrator;
let watching: Reader;

before(async () => {
  ({ service, boss } = await startShop());
  replica = await startReplica(service);
  watching = await reader(replica);
});

describe('UpdateRole', () => {
  it('S09 takes a permission away on every replica, and tells watchers', async () => {
    const name = await newRole(boss, 'orders.read', 'orders.write');
    const clerk = await withRoles(service, name);
    const { accessToken: token, userId } = clerk;
    for (const at of [service, replica]) {
      assert.deepEqual(await permissionsAt(at, token), ['orders.read', 'orders.write']);
    }
    await updateRole(boss, { name, permissions: ['orders.read'] });
    for (const at of [service, replica]) {
      await eventually(async () => (await permissionsAt(at, token)) === undefined);
    }
    const { target, cause } = await watching.hears(userId);
    assert.deepEqual([target.case, cause], ['subject', 'role_changed']);
    service.clock.advance(2000);
    const after = await refreshed(service, clerk);
    for (const at of [service, replica]) {
      assert.deepEqual(await permissionsAt(at, after.accessToken), ['orders.read']);
    }
  });

  it('S09 narrows what a token may do by the role book alone', async () => {
    const name = await newRole(boss, 'orders.read', 'orders.write');
    const { accessToken: token } = await withRoles(service, name);
    await permissionsAt(replica, token);
    // As if no revocation had been written because the role has too many holders.
    await sql(
      service.databaseUrl,
      `update roles set permissions = '{orders.read}' where name = $1`,
      [name],
    );
    for (const at of [service, replica]) {
      const narrowed = async () => String(await permissionsAt(at, token)) === 'orders.read';
      await eventually(narrowed);
      const { active } = await at.sessions.introspectToken({
        token,
        requiredScopes: ['orders.write'],
      });
      assert.equal(active, false);
    }
    await sql(
      service.databaseUrl,
      `update roles set permissions = '{orders.read,orders.write,audit.read}' where name = $1`,
      [name],
    );
    // What is added comes with the next token: a scope is never widened.
    const widened = async () =>
      String(await permissionsAt(service, token)) === 'orders.read,orders.write';
    await eventually(widened);
  });

  it('A05 lets nobody add, or take, what they do not hold', async () => {
    const clerk = await withRoles(service, await newRole(boss, 'roles.write', 'orders.read'));
    const mine = await newRole(boss, 'orders.read');
    const theirs = await newRole(boss, 'orders.write');
    for (const [name, permissions] of [
      [mine, ['orders.write']],
      [theirs, ['orders.read']],
      [theirs, []],
    ] as const) {
      const refused = await refusal(updateRole(clerk, { name, permissions }, ['permissions']));
      assert.equal(refused.reason, 'PERMISSION_DENIED');
    }
    await updateRole(clerk, { name: mine, permissions: [] }, ['permissions']);
  });

  it('refuses the built-in ones, older etags and masks of anything else', async () => {
    const name = await newRole(boss, 'orders.read');
    for (const fixed of ['admin', 'user', 'support']) {
      const refused = await refusal(updateRole(boss, { name: fixed, description: 'x' }));
      assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'BUILT_IN']);
    }
    const { role } = await updateRole(boss, { name, description: 'Reads.' });
    await updateRole(boss, { name, description: 'Reads orders.', etag: role?.etag });
    const late = await refusal(updateRole(boss, { name, description: 'x', etag: role?.etag }));
    assert.deepEqual([late.code, late.reason], [Code.Aborted, 'ETAG_MISMATCH']);
    for (const path of ['name', 'built_in', 'permissions.x', 'nothing']) {
      const refused = await refusal(updateRole(boss, { name, description: 'x' }, [path]));
      assert.deepEqual(refused.fields, ['update_mask']);
    }
    assert.equal((await refusal(updateRole(boss, { name: 'nobody' }))).reason, 'NOT_FOUND');
  });

  it('records the values before and after in the audit log', async () => {
    const name = await newRole(boss, 'orders.read');
    await updateRole(boss, { name, permissions: ['orders.write'] });
    const [event] = await sql<{ details: object }>(
      service.databaseUrl,
      `select details from audit_events where type = 'role.updated' and details->>'role' = $1`,
      [name],
    );
    assert.deepEqual(event?.details, {
      role: name,
      before: { description: '', permissions: ['orders.read'] },
      after: { description: '', permissions: ['orders.write'] },
    });
  });
});
