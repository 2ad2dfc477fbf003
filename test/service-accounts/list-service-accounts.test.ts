import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, withRoles } from '../administrators.ts';
import { type Service, startService } from '../harness/service.ts';
import { newServiceAccount } from './new-service-account.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

describe('ListServiceAccounts', () => {
  it('returns pages that lead to each other, the newest account first', async () => {
    const ids: string[] = [];
    for (const name of ['one', 'two', 'three']) ids.unshift(await newServiceAccount(boss, name));
    const listed: string[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const page = await boss.admin.listServiceAccounts({ pageSize: 2, pageToken });
      listed.push(...page.serviceAccounts.map((each) => each.serviceAccountId));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(listed, ids);
  });
});
