import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { startService } from '../harness/service.ts';

const provider = (id: string) => ({
  id,
  display_name: id.toUpperCase(),
  issuer: 'https://id.example.com',
  client_id: 'countersign',
  redirect_uris: ['https://app.example.com/callback'],
});

describe('ListProviders', () => {
  it('lists nothing if nothing is configured', async () => {
    const service = await startService();
    assert.deepEqual((await service.auth.listProviders({})).providers, []);
  });

  it('lists what is configured, in that order, and anew when the configuration changes', async () => {
    const env = { COUNTERSIGN_OIDC_PROVIDERS: JSON.stringify([provider('b'), provider('a')]) };
    const service = await startService({ env });
    const listed = async () =>
      (await service.auth.listProviders({})).providers.map((each) => [
        each.provider,
        each.displayName,
        each.preset,
      ]);
    assert.deepEqual(await listed(), [
      ['b', 'B', 'oidc'],
      ['a', 'A', 'oidc'],
    ]);
    const next = { ...service.env, COUNTERSIGN_OIDC_PROVIDERS: JSON.stringify([provider('c')]) };
    service.app.reload(readConfig(next, () => ''));
    assert.deepEqual(await listed(), [['c', 'C', 'oidc']]);
  });
});
