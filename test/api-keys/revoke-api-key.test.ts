import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { eventsOfKey, keysOf, newKey, reasonOf, verify } from './keys.ts';

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

describe('RevokeApiKey', () => {
  it('S09 ends a key on every replica, forever, and is idempotent', async () => {
    const { id, secret } = await newKey(service, user);
    for (const at of [service, replica]) assert.equal((await verify(at, secret)).valid, true);
    const client = keysOf(service, user);
    await client.revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(service, secret), ApiKeyReason.REVOKED);
    await eventually(async () => (await reasonOf(replica, secret)) === ApiKeyReason.REVOKED);
    await Promise.all(
      [service, replica].map((at) => keysOf(at, user).revokeApiKey({ apiKeyId: id })),
    );
    const types = (await eventsOfKey(service, id)).map(({ type }) => type);
    assert.deepEqual(types, ['api_key.created', 'api_key.revoked']);
    const restarted = await startReplica(service);
    assert.equal(await reasonOf(restarted, secret), ApiKeyReason.REVOKED);
    const { apiKey } = await client.getApiKey({ apiKeyId: id });
    assert.ok(apiKey?.revokedAt);
  });

  it("ends another's key only with api_keys.write", async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    const refused = await refusal(keysOf(service, user).revokeApiKey({ apiKeyId: id }));
    assert.equal(refused.code, Code.NotFound);
    assert.equal((await verify(service, secret)).valid, true);
    await keysOf(service, admin).revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(service, secret), ApiKeyReason.REVOKED);
  });

  it('C13 S09 ends all keys of an account that is deleted', async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    assert.equal((await verify(replica, secret)).valid, true);
    const account = service.client(AccountService, 'grpc', someone.accessToken);
    assert.match((await account.exportMe({})).json, new RegExp(`"api_key_id": "${id}"`));
    await account.deleteMe({});
    for (const at of [service, replica]) {
      await eventually(async () => (await reasonOf(at, secret)) === ApiKeyReason.REVOKED);
    }
    const [row] = await sql<{ display_name: string; last_used_address: string | null }>(
      service.databaseUrl,
      'select display_name, last_used_address from api_keys where id = $1',
      [id],
    );
    assert.deepEqual(row, { display_name: '', last_used_address: null });
  });
});
