import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ScopeState } from '../../gen/countersign/v1/scope_use_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey, newRobot } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { type Service, startService } from '../harness/service.ts';
import { bearer, check } from './asking.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

describe('What a rule asks of a key', () => {
  it('is noted as used or missing, and in shadow mode as what would have been denied', async () => {
    const serviceAccountId = await newRobot(service, 'auditor');
    const scopes = ['audit.read', 'users.read'];
    const { id, secret } = await newKey(service, boss, { serviceAccountId, scopes });
    const settings = { required_scopes: 'users.read orders.read' };
    const headers = bearer(secret);
    const shadow = { ...settings, shadow: 'true' };
    assert.equal((await check(service, { headers, settings })).code, 7);
    for (let i = 0; i < 2; i += 1) {
      assert.equal((await check(service, { headers, settings: shadow })).code, 0);
    }
    assert.equal((await check(service, { settings: shadow })).code, 0);
    const denials = async () => (await boss.admin.listShadowDenials({})).shadowDenials;
    await eventually(async () => (await denials()).length === 2);
    const byKey = (await denials()).find(({ apiKeyId }) => apiKeyId === id);
    assert.deepEqual(
      [byKey?.reason, byKey?.subject, byKey?.count],
      ['SCOPE_MISSING', serviceAccountId, 2n],
    );
    assert.match(byKey?.rule ?? '', /required_scopes=users\.read orders\.read/);
    const nobody = (await denials()).find(({ apiKeyId }) => apiKeyId === '');
    assert.deepEqual(
      [nobody?.reason, nobody?.subject, nobody?.count],
      ['CREDENTIALS_MISSING', '', 1n],
    );
    const uses = async () =>
      (await boss.admin.listScopeUse({ apiKeyId: id })).keys[0]?.scopes ?? [];
    await eventually(async () => (await uses()).length === 3);
    assert.deepEqual(
      (await uses()).map(({ scope, state }) => [scope, state]),
      [
        ['audit.read', ScopeState.UNUSED],
        ['orders.read', ScopeState.MISSING],
        ['users.read', ScopeState.USED],
      ],
    );
  });
});
