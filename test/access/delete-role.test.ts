import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { forgetDeletedRoles } from '../../src/access/forget-deleted-roles.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';
import { newRole, permissionsAt, startShop, user } from './shop.ts';

let service: Service;
let replica: Service;
let boss: Administrator;
let watching: Reader;

before(async () => {
  ({ service, boss } = await startShop());
  replica = await startReplica(service);
  watching = await reader(replica);
});

describe('DeleteRole', () => {
  it('S09 takes the role, and what it allowed, from everyone who has it', async () => {
    const name = await newRole(boss, 'orders.read');
    const { accessToken: token, userId } = await withRoles(service, 'user', name);
    await boss.admin.deleteRole({ name });
    for (const at of [service, replica]) {
      await eventually(async () => (await permissionsAt(at, token)) === undefined);
    }
    assert.equal((await watching.hears(userId)).cause, 'role_changed');
    assert.deepEqual((await boss.admin.getUser({ userId })).user?.roles, ['user']);
    await boss.admin.createRole({ role: create(RoleSchema, { name }) });
    assert.equal((await refusal(boss.admin.deleteRole({ name: 'nobody' }))).reason, 'NOT_FOUND');
    assert.equal((await refusal(boss.admin.deleteRole({ name: 'user' }))).reason, 'BUILT_IN');
  });

  it('A08 announces owners who use only API keys, and gives their old tokens nothing under the old name', async () => {
    const name = await newRole(boss, 'orders.read');
    const owner = await withRoles(service, 'user', name);
    const { secret } = await newKey(service, owner, { scopes: ['orders.read'] });
    const request = { secret, audience: 'https://orders.test' };
    const { accessToken: token } = await service.client(ApiKeyService).exchangeApiKey(request);
    // As if the holder had not refreshed for weeks.
    await sql(
      service.databaseUrl,
      `update sessions set refreshed_at = now() - interval '9 days'
      where account_id = $1`,
      [owner.userId],
    );
    await boss.admin.updateRole({
      role: create(RoleSchema, { name, permissions: ['orders.write'] }),
    });
    await watching.hears(owner.userId);
    await boss.admin.deleteRole({ name });
    await boss.admin.createRole({
      role: create(RoleSchema, { name, permissions: ['orders.read'] }),
    });
    for (const at of [service, replica]) {
      await eventually(async () => (await permissionsAt(at, token)) === undefined);
      await eventually(async () => (await permissionsAt(at, owner.accessToken)) === undefined);
    }
  });

  it('A08 gives nothing to old tokens of a replica whose clock is ahead, as long as they live', async () => {
    const clock = new TestClock();
    clock.advance(5 * 60_000);
    const ahead = await startReplica(service, { clock });
    const name = await newRole(boss, 'orders.read');
    const { accessToken: token } = await withRoles(ahead, 'user', name);
    await boss.admin.deleteRole({ name });
    await boss.admin.createRole({
      role: create(RoleSchema, { name, permissions: ['orders.read'] }),
    });
    await eventually(async () => (await permissionsAt(ahead, token)) === undefined);
    clock.advance(60_000);
    assert.equal(await permissionsAt(ahead, token), undefined);
  });

  it('leaves the role to no one who was granted it at the same time', async () => {
    const name = await newRole(boss, 'orders.read');
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

  it('covers more holders than one change waits for, and gives them nothing meanwhile', async () => {
    const name = await newRole(boss, 'orders.read');
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
    const rest = () =>
      forgetDeletedRoles({ database, clock: service.clock, revocations: { keptMs: 600_000 } });
    while (await rest());
    await boss.admin.createRole({ role: create(RoleSchema, { name }) });
  });
});
