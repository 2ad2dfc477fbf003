import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newKey, verify } from '../api-keys/keys.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { eventually } from '../harness/eventually.ts';
import { accountOf, person } from '../harness/people.ts';
import { startService } from '../harness/service.ts';

describe('The use of scopes on the embedded database', () => {
  it('is noted as on a server', async () => {
    const service = await startService({
      env: {
        DATABASE_URL: '',
        REDIS_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
      },
    });
    const owner = await person(service);
    const { secret } = await newKey(service, owner);
    const uses = async () => {
      const { json } = await accountOf(service, owner).exportMe({});
      return JSON.parse(json).api_keys[0].scope_uses;
    };
    await verify(service, { secret, requiredScopes: ['orders.read'] });
    await eventually(async () => (await uses()).length === 1);
    await verify(service, { secret, requiredScopes: ['orders.write', 'orders.read'] });
    await eventually(async () => (await uses()).length === 2);
    const [first] = await uses();
    assert.deepEqual([first.scope, first.used_on, first.missing_on.length], ['orders.read', [], 1]);
    assert.match(first.missing_on[0], /^\d{4}-\d\d-\d\d$/);
  });
});
