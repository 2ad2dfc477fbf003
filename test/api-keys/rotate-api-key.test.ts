import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { keysOf, newKey, reasonOf, verify } from './keys.ts';

let service: Service;
let replica: Service;
let user: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  user = await person(service);
});

describe('RotateApiKey', () => {
  it('A03 S09 lets the old secret work until the overlap is over, on every replica', async () => {
    const { id, secret } = await newKey(service, user);
    const client = keysOf(service, user);
    const rotated = await client.rotateApiKey({ apiKeyId: id, overlap: { seconds: 30n } });
    assert.ok(rotated.apiKey?.previousSecretExpiresAt);
    const end = rotated.apiKey.previousSecretExpiresAt.seconds;
    for (const at of [service, replica]) {
      const { valid, expiresAt } = await verify(at, secret);
      assert.deepEqual([valid, expiresAt?.seconds], [true, end], 'it ends with the overlap');
      const next = await verify(at, rotated.secret);
      assert.deepEqual([next.valid, next.expiresAt], [true, undefined]);
    }
    service.clock.advance(31_000);
    for (const at of [service, replica]) {
      assert.equal(await reasonOf(at, secret), ApiKeyReason.EXPIRED);
      assert.equal((await verify(at, rotated.secret)).valid, true);
    }
    const { apiKey } = await client.getApiKey({ apiKeyId: id });
    assert.equal(apiKey?.previousSecretExpiresAt, undefined);
  });

  it('ends the oldest of three secrets at once if rotations overlap', async () => {
    const first = await newKey(service, user);
    const client = keysOf(service, user);
    const rotation = { apiKeyId: first.id, overlap: { seconds: 600n } };
    const second = await client.rotateApiKey(rotation);
    assert.equal((await verify(replica, first.secret)).valid, true);
    const third = await client.rotateApiKey(rotation);
    assert.equal(await reasonOf(service, first.secret), ApiKeyReason.UNKNOWN_KEY);
    await eventually(async () => !(await verify(replica, first.secret)).valid);
    for (const { secret } of [second, third]) {
      assert.equal((await verify(replica, secret)).valid, true);
    }
  });

  it('leaves one key with two secrets after two rotations at once', async () => {
    const { id } = await newKey(service, user);
    const racers = await Promise.all(
      [service, replica].map((at) =>
        keysOf(at, user).rotateApiKey({ apiKeyId: id, overlap: { seconds: 60n } }),
      ),
    );
    for (const { secret } of racers) assert.equal((await verify(service, secret)).valid, true);
  });

  it('refuses a revoked key, and an overlap out of bounds', async () => {
    const { id } = await newKey(service, user);
    const client = keysOf(service, user);
    for (const seconds of [-1n, 2_592_001n]) {
      const refused = await refusal(client.rotateApiKey({ apiKeyId: id, overlap: { seconds } }));
      assert.deepEqual(refused.fields, ['overlap']);
    }
    await client.revokeApiKey({ apiKeyId: id });
    const rotated = await refusal(client.rotateApiKey({ apiKeyId: id }));
    assert.deepEqual([rotated.code, rotated.reason], [Code.FailedPrecondition, 'API_KEY_REVOKED']);
    const updated = client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'x' } });
    assert.equal((await refusal(updated)).reason, 'API_KEY_REVOKED');
  });
});
