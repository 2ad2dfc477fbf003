import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, withRoles } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

describe('CreateServiceAccount', () => {
  it('adds an account without roles, which can be granted later', async () => {
    const { admin } = boss;
    const { serviceAccount } = await admin.createServiceAccount({ displayName: 'Robot' });
    assert.deepEqual([serviceAccount?.displayName, serviceAccount?.roles], ['Robot', []]);
    const holder = {
      case: 'serviceAccountId',
      value: serviceAccount?.serviceAccountId ?? '',
    } as const;
    assert.deepEqual((await admin.grantRole({ holder, role: 'auditor' })).roles, ['auditor']);
  });

  it('requires the permission', async () => {
    const nobody = await withRoles(service, 'user');
    const refused = await refusal(nobody.admin.createServiceAccount({ displayName: 'Robot' }));
    assert.deepEqual(refused.metadata, { permission: 'service_accounts.write' });
  });
});
