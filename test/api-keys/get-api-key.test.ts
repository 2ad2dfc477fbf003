import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { eventually } from '../harness/eventually.ts';
import { type Person, person, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { keysOf, newKey, verify } from './keys.ts';

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

describe('GetApiKey', () => {
  it("shows people their own, and another's only with the permission", async () => {
    const someone = await person(service);
    const { id } = await newKey(service, someone);
    const own = await keysOf(service, someone).getApiKey({ apiKeyId: id.toUpperCase() });
    assert.equal(own.apiKey?.apiKeyId, id);
    const refused = await refusal(keysOf(service, user).getApiKey({ apiKeyId: id }));
    const unknown = await refusal(keysOf(service, user).getApiKey({ apiKeyId: UNKNOWN_ID }));
    assert.deepEqual([refused.code, refused.message], [Code.NotFound, unknown.message]);
    assert.equal((await keysOf(service, admin).getApiKey({ apiKeyId: id })).apiKey?.apiKeyId, id);
  });

  it('A03 says when a key was last used and from where, on any replica', async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    const client = keysOf(service, someone);
    await Promise.all(
      [service, replica].map((at) => verify(at, { secret, ipAddress: '192.0.2.7' })),
    );
    const shown = async () => (await client.getApiKey({ apiKeyId: id })).apiKey;
    await eventually(async () => (await shown())?.lastUsedAt !== undefined);
    const first = await shown();
    assert.equal(first?.lastUsedIpAddress, '192.0.2.7');
    for (const at of [service, replica]) await verify(at, { secret, ipAddress: '192.0.2.8' });
    service.clock.advance(61_000);
    await verify(replica, { secret, ipAddress: '192.0.2.9' });
    await eventually(async () => (await shown())?.lastUsedIpAddress === '192.0.2.9');
    const later = Number((await shown())?.lastUsedAt?.seconds) - Number(first?.lastUsedAt?.seconds);
    assert.ok(later >= 60);
  });
});
