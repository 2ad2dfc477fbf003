import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person, personWithNew, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { eventsOfKey, keysOf, newKey, newRobot, reasonOf, verify } from './keys.ts';

let service: Service;
let replica: Service;
let admin: Person;
let user: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  admin = await person(service, 'user', 'admin');
  user = await person(service);
});

describe('A key of a service account', () => {
  it('is made with api_keys.write, within what both the account and the maker hold', async () => {
    const robot = await newRobot(service, 'auditor');
    const { secret, apiKey } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.read'],
    });
    assert.deepEqual([apiKey.owner?.type, apiKey.owner?.subject], [2, robot]);
    const answer = await verify(service, secret);
    assert.deepEqual(
      [answer.valid, answer.principal?.type, answer.principal?.subject, answer.principal?.scopes],
      [true, 2, robot, ['users.read']],
    );
    const wide = { serviceAccountId: robot, scopes: ['users.write'] };
    assert.equal((await refusal(newKey(service, admin, wide))).reason, 'PERMISSION_DENIED');
    const stranger = await refusal(newKey(service, user, { serviceAccountId: robot }));
    assert.equal(stranger.reason, 'PERMISSION_DENIED');
    const nobody = await refusal(newKey(service, admin, { serviceAccountId: UNKNOWN_ID }));
    assert.equal(nobody.reason, 'NOT_FOUND');
  });

  it('S09 falls and rises with the state and the roles of the account, on every replica', async () => {
    const robot = await newRobot(service, 'auditor');
    const { secret } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.read'],
    });
    const both = [service, replica];
    for (const at of both) assert.equal((await verify(at, secret)).valid, true);
    const set = (column: string, value: unknown) =>
      sql(service.databaseUrl, `update service_accounts set ${column} = $2 where id = $1`, [
        robot,
        value,
      ]);
    const scopesAt = async (at: Service) => (await verify(at, secret)).principal?.scopes.length;
    await set('roles', ['user']);
    for (const at of both) await eventually(async () => (await scopesAt(at)) === 0);
    await set('roles', ['auditor']);
    for (const at of both) await eventually(async () => (await scopesAt(at)) === 1);
    for (const state of ['suspended', 'deleted']) {
      await set('state', state);
      for (const at of both) {
        await eventually(async () => (await reasonOf(at, secret)) === ApiKeyReason.OWNER_INACTIVE);
      }
      await set('state', 'active');
      await eventually(async () => (await verify(service, secret)).valid);
    }
  });

  it('is seen, changed, rotated and revoked only with the permission', async () => {
    const robot = await newRobot(service, 'auditor');
    const { id, secret } = await newKey(service, admin, { serviceAccountId: robot });
    const client = keysOf(service, user);
    const refusals = [
      client.getApiKey({ apiKeyId: id }),
      client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'mine' } }),
      client.rotateApiKey({ apiKeyId: id }),
      client.revokeApiKey({ apiKeyId: id }),
    ];
    for (const { code } of await Promise.all(refusals.map(refusal))) {
      assert.equal(code, Code.NotFound);
    }
    const manager = keysOf(service, admin);
    const { apiKeys } = await manager.listApiKeys({ serviceAccountId: robot });
    assert.deepEqual(
      apiKeys.map(({ apiKeyId }) => apiKeyId),
      [id],
    );
    const { apiKey } = await manager.updateApiKey({
      apiKey: { apiKeyId: id, scopes: ['users.read'] },
    });
    assert.deepEqual(apiKey?.scopes, ['users.read']);
    const rotated = await manager.rotateApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(service, secret), ApiKeyReason.EXPIRED);
    assert.equal((await verify(service, rotated.secret)).valid, true);
    await manager.revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(service, rotated.secret), ApiKeyReason.REVOKED);
    assert.deepEqual(
      (await eventsOfKey(service, id)).map(({ type, actor, subject }) => [type, actor, subject]),
      ['created', 'updated', 'rotated', 'revoked'].map((what) => [
        `api_key.${what}`,
        admin.userId,
        robot,
      ]),
    );
  });

  it('A01 is rotated only by a caller who can do all that it can', async () => {
    const robot = await newRobot(service, 'admin');
    const { id } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.write'],
    });
    await sql(
      service.databaseUrl,
      `insert into roles (name, description, built_in, permissions, created_at, updated_at)
       values ('keeper', '', false, '{api_keys.read,api_keys.write}', now(), now())`,
    );
    const keeper = await personWithNew(service, 'keeper');
    const client = keysOf(service, keeper);
    const refused = await refusal(client.rotateApiKey({ apiKeyId: id }));
    assert.equal(refused.reason, 'PERMISSION_DENIED');
    const wider = { apiKeyId: id, scopes: ['users.write', 'users.read'] };
    const widened = await refusal(client.updateApiKey({ apiKey: wider }));
    assert.equal(widened.reason, 'PERMISSION_DENIED');
    await client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'kept' } });
    await client.revokeApiKey({ apiKeyId: id });
  });
});
