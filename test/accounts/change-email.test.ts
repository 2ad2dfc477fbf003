import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { accountOf, createAccount, newEmail, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { changeToken } from './moved.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ChangeEmail', () => {
  it('mails a link to the new address, and changes nothing before it is followed', async () => {
    const { email, accessToken } = await signedIn(service);
    const to = newEmail();
    assert.match(await changeToken(service, { accessToken }, to), /^csm_/);
    assert.equal((await accountOf(service, { accessToken }).getMe({})).user?.email, email);
    await signIn(service, email);
  });

  it('C04 answers the same for an address that somebody has, whom it tells by mail', async () => {
    const { accessToken } = await signedIn(service);
    const holder = await createAccount(service);
    await accountOf(service, { accessToken }).changeEmail({ newEmail: holder });
    await service.mail.next(holder, /already have an account/);
  });

  it('refuses the address that the account has', async () => {
    const { email, accessToken } = await signedIn(service);
    const same = await refusal(
      accountOf(service, { accessToken }).changeEmail({ newEmail: email }),
    );
    assert.deepEqual([same.reason, same.fields], ['INVALID_REQUEST', ['new_email']]);
  });
});
