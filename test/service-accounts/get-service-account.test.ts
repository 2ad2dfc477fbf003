import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type Administrator, withRoles } from '../administrators.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { newServiceAccount } from './new-service-account.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

describe('GetServiceAccount', () => {
  it('shows an account with its roles, and refuses an unknown one', async () => {
    const serviceAccountId = await newServiceAccount(boss);
    const holder = { case: 'serviceAccountId', value: serviceAccountId } as const;
    await boss.admin.grantRole({ holder, role: 'auditor' });
    const { serviceAccount } = await boss.admin.getServiceAccount({ serviceAccountId });
    assert.deepEqual([serviceAccount?.displayName, serviceAccount?.roles], ['Robot', ['auditor']]);
    const unknown = boss.admin.getServiceAccount({ serviceAccountId: UNKNOWN_ID });
    assert.equal((await refusal(unknown)).code, Code.NotFound);
  });
});
