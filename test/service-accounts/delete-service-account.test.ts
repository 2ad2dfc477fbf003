import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { newRole } from '../access/shop.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { reader } from '../revocations/revocation-readers.ts';
import { newServiceAccount } from './new-service-account.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

describe('DeleteServiceAccount', () => {
  it('deletes the account, and tells watchers', async () => {
    const { admin } = boss;
    const id = await newServiceAccount(boss);
    const watching = await reader(service);
    await admin.deleteServiceAccount({ serviceAccountId: id });
    assert.equal((await watching.hears(id)).cause, 'service_account_deleted');
    const gone = await refusal(admin.getServiceAccount({ serviceAccountId: id }));
    assert.equal(gone.reason, 'NOT_FOUND');
    const holder = { case: 'serviceAccountId', value: id } as const;
    assert.equal((await refusal(admin.grantRole({ holder, role: 'user' }))).reason, 'NOT_FOUND');
  });

  it('A05 is out of reach for a caller who may do less than the account', async () => {
    const id = await newServiceAccount(boss);
    const holder = { case: 'serviceAccountId', value: id } as const;
    await boss.admin.grantRole({ holder, role: 'auditor' });
    const clerk = await withRoles(service, await newRole(boss, 'service_accounts.write'));
    const beyond = await refusal(clerk.admin.deleteServiceAccount({ serviceAccountId: id }));
    assert.equal(beyond.reason, 'PERMISSION_DENIED');
  });
});
