import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { forgetDeletedRoles } from '../../src/access/forget-deleted-roles.ts';
import { BUILT_IN_PERMISSIONS, BUILT_IN_ROLES } from '../../src/access/permissions.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { type Administrator, adminClient, eventsOf, withRoles } from '../administrators.ts';
import {
  atEnd,
  eventually,
  refusal,
  type Service,
  sql,
  startReplica,
  startService,
} from '../harness.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';

const UNKNOWN = '01890000-0000-7000-8000-000000000000';

let service: Service;
let replica: Service;
let boss: Administrator;
let watching: Reader;
let names = 0;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
  watching = await reader(replica);
  for (const name of ['orders.read', 'orders.write']) {
    await boss.admin.createPermission({ permission: { name, description: 'Of the shop.' } });
  }
  // The administrator's token was issued before there were these.
  boss = await refreshed(boss);
});

async function refreshed(who: Administrator): Promise<Administrator> {
  const { tokens } = await service.auth.refreshToken({ refreshToken: who.refreshToken });
  if (!tokens) throw new Error('no tokens');
  return { ...who, ...tokens, admin: adminClient(service, tokens) };
}

const user = (value: string) => ({ case: 'userId' as const, value });

async function newRole(...permissions: string[]): Promise<string> {
  names += 1;
  const name = `clerk-${names}`;
  await boss.admin.createRole({ role: create(RoleSchema, { name, permissions }) });
  return name;
}

async function permissionsAt(at: Service, token: string): Promise<string[] | undefined> {
  const { active, principal } = await at.sessions.introspectToken({ token });
  return active ? principal?.permissions : undefined;
}

const update = (by: Administrator, values: object, paths: string[] = []) =>
  by.admin.updateRole({
    role: create(RoleSchema, values),
    updateMask: create(FieldMaskSchema, { paths }),
  });

describe('ListRoles', () => {
  it('has the built-in ones, as the program has them, whatever was done to their rows', async () => {
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

describe('CreateRole', () => {
  it('adds a role, once', async () => {
    const name = await newRole('orders.write', 'orders.read', 'orders.read');
    const { roles } = await boss.admin.listRoles({});
    const role = roles.find((each) => each.name === name);
    assert.deepEqual(role?.permissions, ['orders.read', 'orders.write']);
    assert.ok(role?.etag && !role.builtIn);
    const again = await refusal(boss.admin.createRole({ role: create(RoleSchema, { name }) }));
    assert.deepEqual([again.code, again.reason], [Code.AlreadyExists, 'NAME_TAKEN']);
  });

  it('A05 gives nothing that its author does not hold', async () => {
    const name = await newRole('roles.write', 'orders.read');
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

describe('UpdateRole', () => {
  it('S09 takes a permission away within a second, on every replica and for who watches', async () => {
    const name = await newRole('orders.read', 'orders.write');
    const clerk = await withRoles(service, name);
    const { accessToken: token, userId } = clerk;
    for (const at of [service, replica]) {
      assert.deepEqual(await permissionsAt(at, token), ['orders.read', 'orders.write']);
    }
    await update(boss, { name, permissions: ['orders.read'] });
    for (const at of [service, replica]) {
      await eventually(async () => (await permissionsAt(at, token)) === undefined, 1000);
    }
    const { target, cause } = await watching.hears(userId);
    assert.deepEqual([target.case, cause], ['subject', 'role_changed']);
    service.clock.advance(2000);
    const after = await refreshed(clerk);
    for (const at of [service, replica]) {
      assert.deepEqual(await permissionsAt(at, after.accessToken), ['orders.read']);
    }
  });

  it('S09 narrows what a token may do by the role book alone', async () => {
    const name = await newRole('orders.read', 'orders.write');
    const { accessToken: token } = await withRoles(service, name);
    await permissionsAt(replica, token);
    // As where a revocation was not written, for the holder was one of too many.
    await sql(
      service.databaseUrl,
      `update roles set permissions = '{orders.read}' where name = $1`,
      [name],
    );
    for (const at of [service, replica]) {
      const narrowed = async () => String(await permissionsAt(at, token)) === 'orders.read';
      await eventually(narrowed, 1000);
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
    await eventually(widened, 1000);
  });

  it('A05 lets nobody add, or take, what they do not hold', async () => {
    const clerk = await withRoles(service, await newRole('roles.write', 'orders.read'));
    const mine = await newRole('orders.read');
    const theirs = await newRole('orders.write');
    for (const [name, permissions] of [
      [mine, ['orders.write']],
      [theirs, ['orders.read']],
      [theirs, []],
    ] as const) {
      const refused = await refusal(update(clerk, { name, permissions }, ['permissions']));
      assert.equal(refused.reason, 'PERMISSION_DENIED');
    }
    await update(clerk, { name: mine, permissions: [] }, ['permissions']);
  });

  it('refuses the built-in ones, older etags and masks of anything else', async () => {
    const name = await newRole('orders.read');
    for (const fixed of ['admin', 'user', 'support']) {
      const refused = await refusal(update(boss, { name: fixed, description: 'x' }));
      assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'BUILT_IN']);
    }
    const { role } = await update(boss, { name, description: 'Reads.' });
    await update(boss, { name, description: 'Reads orders.', etag: role?.etag });
    const late = await refusal(update(boss, { name, description: 'x', etag: role?.etag }));
    assert.deepEqual([late.code, late.reason], [Code.Aborted, 'ETAG_MISMATCH']);
    for (const path of ['name', 'built_in', 'permissions.x', 'nothing']) {
      const refused = await refusal(update(boss, { name, description: 'x' }, [path]));
      assert.deepEqual(refused.fields, ['update_mask']);
    }
    assert.equal((await refusal(update(boss, { name: 'nobody' }))).reason, 'NOT_FOUND');
  });

  it('says in the audit log what was before and after', async () => {
    const name = await newRole('orders.read');
    await update(boss, { name, permissions: ['orders.write'] });
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

describe('DeleteRole', () => {
  it('S09 takes the role, and what it gave, from everybody who has it', async () => {
    const name = await newRole('orders.read');
    const { accessToken: token, userId } = await withRoles(service, 'user', name);
    await boss.admin.deleteRole({ name });
    for (const at of [service, replica]) {
      await eventually(async () => (await permissionsAt(at, token)) === undefined, 1000);
    }
    assert.equal((await watching.hears(userId)).cause, 'role_changed');
    assert.deepEqual((await boss.admin.getUser({ userId })).user?.roles, ['user']);
    await boss.admin.createRole({ role: create(RoleSchema, { name }) });
    assert.equal((await refusal(boss.admin.deleteRole({ name: 'nobody' }))).reason, 'NOT_FOUND');
    assert.equal((await refusal(boss.admin.deleteRole({ name: 'user' }))).reason, 'BUILT_IN');
  });

  it('leaves nobody with the role who was granted it at the same time', async () => {
    const name = await newRole('orders.read');
    const people = await Promise.all([1, 2, 3, 4].map(() => withRoles(service, 'user')));
    await Promise.allSettled([
      ...people.map(({ userId }) => boss.admin.grantRole({ holder: user(userId), role: name })),
      boss.admin.deleteRole({ name }),
      ...people.map(({ userId }) => boss.admin.grantRole({ holder: user(userId), role: name })),
    ]);
    const left = await sql(
      service.databaseUrl,
      'select 1 from accounts where roles @> array[$1::text]',
      [name],
    );
    assert.deepEqual(left, []);
  });

  it('is done for more holders than one change waits for, and gives them nothing meanwhile', async () => {
    const name = await newRole('orders.read');
    await sql(
      service.databaseUrl,
      `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
       select gen_random_uuid(), n || '@many.test', n || '@many.test', '', 'active', array[$1], now(), now()
       from generate_series(1, 600) n`,
      [name],
    );
    await boss.admin.deleteRole({ name });
    const { roles } = await boss.admin.listRoles({});
    assert.ok(!roles.some((role) => role.name === name));
    const taken = await refusal(boss.admin.createRole({ role: create(RoleSchema, { name }) }));
    assert.equal(taken.reason, 'NAME_TAKEN');
    const grant = await refusal(boss.admin.grantRole({ holder: user(boss.userId), role: name }));
    assert.equal(grant.reason, 'NOT_FOUND');
    const config = readConfig(service.env, () => '');
    const database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
    const rest = () => forgetDeletedRoles({ database, clock: service.clock });
    while (await rest());
    await boss.admin.createRole({ role: create(RoleSchema, { name }) });
  });
});

describe('GrantRole', () => {
  it('gives a role, which comes with the next refresh, and is not given twice', async () => {
    const name = await newRole('orders.read');
    const person = await withRoles(service, 'user');
    const grant = { holder: user(person.userId), role: name };
    assert.deepEqual((await boss.admin.grantRole(grant)).roles, ['user', name]);
    assert.deepEqual((await boss.admin.grantRole(grant)).roles, ['user', name]);
    const { accessToken } = await refreshed(person);
    assert.deepEqual(await permissionsAt(replica, accessToken), ['orders.read']);
    const granted = (await eventsOf(service, person.userId)).filter(
      ({ type }) => type === 'role.granted',
    );
    assert.deepEqual(
      granted.map(({ actor, details }) => [actor, details]),
      [[boss.userId, { role: name, before: ['user'], after: ['user', name] }]],
    );
  });

  it('A05 gives nothing that the caller does not hold, such as the administrators’ role', async () => {
    const clerk = await withRoles(service, await newRole('roles.write', 'orders.read'));
    const mine = await newRole('orders.read');
    const grant = (role: string) => clerk.admin.grantRole({ holder: user(clerk.userId), role });
    for (const role of ['admin', 'support', await newRole('orders.write')]) {
      assert.equal((await refusal(grant(role))).reason, 'PERMISSION_DENIED', role);
    }
    await grant(mine);
  });

  it('names what is not there, and stops at ten', async () => {
    const { userId } = await withRoles(service, 'user');
    const grant = (role: string, id = userId) => boss.admin.grantRole({ holder: user(id), role });
    assert.equal((await refusal(grant('nobody'))).reason, 'NOT_FOUND');
    assert.equal((await refusal(grant('user', UNKNOWN))).reason, 'NOT_FOUND');
    const bare = await refusal(boss.admin.grantRole({ role: 'user' }));
    assert.equal(bare.code, Code.InvalidArgument);
    for (let i = 1; i < 10; i += 1) await grant(await newRole());
    assert.equal((await refusal(grant(await newRole()))).reason, 'TOO_MANY');
  });
});

describe('RevokeRole', () => {
  it('S09 is refused everywhere within a second, and leaves the session', async () => {
    const name = await newRole('orders.read');
    const clerk = await withRoles(service, 'user', name);
    const revoke = { holder: user(clerk.userId), role: name };
    assert.deepEqual((await boss.admin.revokeRole(revoke)).roles, ['user']);
    assert.deepEqual((await boss.admin.revokeRole(revoke)).roles, ['user']);
    for (const at of [service, replica]) {
      const gone = async () => (await permissionsAt(at, clerk.accessToken)) === undefined;
      await eventually(gone, 1000);
    }
    const { target, cause } = await watching.hears(clerk.userId);
    assert.deepEqual([target.case, cause], ['subject', 'role_revoked']);
    service.clock.advance(2000);
    const { accessToken } = await refreshed(clerk);
    assert.deepEqual(await permissionsAt(replica, accessToken), []);
  });

  it('A05 leaves one administrator of 64 racers on two replicas', async () => {
    const alone = await startService();
    const second = await startReplica(alone);
    const admins = await Promise.all([1, 2, 3, 4].map(() => withRoles(alone, 'user', 'admin')));
    const racers = Array.from({ length: 64 }, (_, i) => {
      const by = admins[i % 4] as Administrator;
      const { userId } = admins[(i + 1 + Math.floor(i / 16)) % 4] as Administrator;
      const admin = adminClient(i % 2 ? alone : second, by);
      const ways = [
        () => admin.revokeRole({ holder: user(userId), role: 'admin' }),
        () => admin.suspendUser({ userId }),
        () => admin.deleteUser({ userId }),
      ];
      return (ways[i % 3] as () => Promise<unknown>)();
    });
    const results = await Promise.allSettled(racers);
    assert.ok(results.some(({ status }) => status === 'fulfilled'));
    const left = await sql(
      alone.databaseUrl,
      `select id from accounts where state = 'active' and roles @> '{admin}'`,
    );
    assert.equal(left.length, 1);
    const last = admins.find(({ userId }) => userId === left[0]?.['id']) as Administrator;
    for (const attempt of [
      () => last.admin.revokeRole({ holder: user(last.userId), role: 'admin' }),
      () => last.admin.suspendUser({ userId: last.userId }),
      () => last.admin.deleteUser({ userId: last.userId }),
    ]) {
      const refused = await refusal(attempt());
      assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'LAST_ADMIN']);
    }
    await last.admin.updateUser({ user: create(UserSchema, { userId: last.userId }) });
  });
});

describe('Permissions', () => {
  it('of customers come and go, and not while a role gives them', async () => {
    const { admin } = boss;
    await admin.createPermission({ permission: { name: 'ships.sail', description: '' } });
    const again = admin.createPermission({ permission: { name: 'ships.sail' } });
    assert.equal((await refusal(again)).reason, 'NAME_TAKEN');
    boss = await refreshed(boss);
    const role = await newRole('ships.sail');
    const used = await refusal(boss.admin.deletePermission({ name: 'ships.sail' }));
    assert.deepEqual([used.reason, used.metadata], ['IN_USE', { role }]);
    await boss.admin.deleteRole({ name: role });
    await boss.admin.deletePermission({ name: 'ships.sail' });
    assert.equal((await refusal(boss.admin.deletePermission({ name: 'x.y' }))).reason, 'NOT_FOUND');
    const fixed = await refusal(boss.admin.deletePermission({ name: 'users.read' }));
    assert.equal(fixed.reason, 'BUILT_IN');
  });

  it('are never so many that an administrator’s token is too long to be read', async () => {
    const create = (i: number) =>
      boss.admin.createPermission({ permission: { name: `filler${i}.${'x'.repeat(50)}` } });
    let last: unknown;
    for (let i = 100; i < 200 && !last; i += 1) await create(i).catch((error) => (last = error));
    const refused = await refusal(Promise.reject(last));
    assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, 'TOO_MANY']);
    boss = await refreshed(boss);
    assert.ok((await permissionsAt(service, boss.accessToken))?.length);
  });
});

describe('Service accounts', () => {
  it('are created, granted roles, listed in pages, and deleted', async () => {
    const { admin } = boss;
    const ids: string[] = [];
    for (const displayName of ['one', 'two', 'three']) {
      const { serviceAccount } = await admin.createServiceAccount({ displayName });
      ids.unshift(serviceAccount?.serviceAccountId ?? '');
    }
    const [id = ''] = ids;
    const holder = { case: 'serviceAccountId' as const, value: id };
    assert.deepEqual((await admin.grantRole({ holder, role: 'auditor' })).roles, ['auditor']);
    const { serviceAccount } = await admin.getServiceAccount({ serviceAccountId: id });
    assert.deepEqual([serviceAccount?.displayName, serviceAccount?.roles], ['three', ['auditor']]);
    const listed: string[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const page = await admin.listServiceAccounts({ pageSize: 2, pageToken });
      listed.push(...page.serviceAccounts.map((each) => each.serviceAccountId));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(listed, ids);
    const clerk = await withRoles(service, await newRole('service_accounts.write'));
    const beyond = await refusal(clerk.admin.deleteServiceAccount({ serviceAccountId: id }));
    assert.equal(beyond.reason, 'PERMISSION_DENIED');
    await admin.deleteServiceAccount({ serviceAccountId: id });
    assert.equal((await watching.hears(id)).cause, 'service_account_deleted');
    const gone = await refusal(admin.getServiceAccount({ serviceAccountId: id }));
    assert.equal(gone.reason, 'NOT_FOUND');
    assert.equal((await refusal(admin.grantRole({ holder, role: 'user' }))).reason, 'NOT_FOUND');
  });
});
