import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { enrolled } from '../authenticator-app.ts';
import { signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('DisableTotp', () => {
  it('E06 turns the app off, once, and tells the owner by mail', async () => {
    const { email, account } = await enrolled(service);
    await account.disableTotp({});
    await service.mail.next(email, /turned off/);
    await signIn(service, email);
    assert.equal((await refusal(account.disableTotp({}))).reason, 'MFA_STATE');
  });
});
