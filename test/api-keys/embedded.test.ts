import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { apiKeysIn } from '../../src/api-keys/api-key.repository.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { person } from '../harness/people.ts';
import { startService } from '../harness/service.ts';
import { keysOf, newKey, verify } from './keys.ts';

describe('API keys on the embedded database', () => {
  it('work as on a server', async () => {
    const service = await startService({
      env: {
        DATABASE_URL: '',
        REDIS_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
      },
    });
    const owner = await person(service);
    const client = keysOf(service, owner);
    const { id, secret } = await newKey(service, owner, {
      allowedCidrs: ['10.0.0.0/8', '::1'],
      rateLimit: { requests: 2, per: { seconds: 60n } },
    });
    const from = { secret, ipAddress: '10.0.0.1' };
    assert.equal((await verify(service, from)).rateLimit?.remaining, 1);
    await eventually(async () => {
      const { apiKey } = await client.getApiKey({ apiKeyId: id });
      return apiKey?.lastUsedIpAddress === '10.0.0.1';
    });
    const apiKey = { apiKeyId: id, displayName: 'renamed' };
    assert.equal((await client.updateApiKey({ apiKey })).apiKey?.displayName, 'renamed');
    const overlap = { seconds: 60n };
    const rotated = await client.rotateApiKey({ apiKeyId: id, overlap });
    assert.equal((await verify(service, { ...from, secret: rotated.secret })).valid, true);
    assert.equal((await verify(service, from)).reason, ApiKeyReason.RATE_LIMITED);
    assert.equal((await client.listApiKeys({})).apiKeys.length, 1);
    await client.revokeApiKey({ apiKeyId: id });
    assert.equal((await verify(service, from)).reason, ApiKeyReason.REVOKED);
  });

  it('are deleted 30 days after they end', async () => {
    const service = await startService();
    const owner = await person(service);
    const { id } = await newKey(service, owner);
    await keysOf(service, owner).revokeApiKey({ apiKeyId: id });
    const config = readConfig(service.env, () => '');
    const database = await openDatabase(config, createLog('silent'));
    const forget = (before: Date) => database.read((em) => apiKeysIn(em).forgetOver(before));
    const count = () => database.read((em) => apiKeysIn(em).count({ id }));
    await forget(new Date(Date.now() - 60_000));
    assert.equal(await count(), 1);
    await forget(new Date(Date.now() + 60_000));
    assert.equal(await count(), 0);
    await database.close();
  });
});
