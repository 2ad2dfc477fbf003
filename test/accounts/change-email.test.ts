import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { mailsHaveGone } from '../harness/errands.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, createAccount, newEmail, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { changeToken } from './moved.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ChangeEmail', () => {
  it('mails a link to the new address, and changes nothing until it is followed', async () => {
    const { email, accessToken } = await signedIn(service);
    const to = newEmail();
    assert.match(await changeToken(service, { accessToken }, to), /^csm_/);
    assert.equal((await accountOf(service, { accessToken }).getMe({})).user?.email, email);
    await signIn(service, email);
  });

  it('C04 answers the same for an address in use, and tells its owner by mail', async () => {
    const { accessToken } = await signedIn(service);
    const holder = await createAccount(service);
    await accountOf(service, { accessToken }).changeEmail({ newEmail: holder });
    await service.mail.next(holder, /already have an account/);
  });

  it('C16 sends one address five mails at once, whoever asks, and voids no link without a new mail', async () => {
    const [one, two] = [await signedIn(service), await signedIn(service)];
    const [to, holder] = [newEmail(), await createAccount(service)];
    for (const newEmail of [holder, to]) {
      for (let i = 0; i < 7; i += 1) {
        await accountOf(service, i < 2 ? one : two).changeEmail({ newEmail });
      }
    }
    await mailsHaveGone(service);
    const mailsTo = (address: string) => service.mail.mails.filter((mail) => mail.to === address);
    assert.equal(mailsTo(holder).length, 5);
    const mails = mailsTo(to);
    assert.equal(mails.length, 5);
    const tokens = mails.map((mail) => tokenIn(mail) ?? '');
    const confirmed = await Promise.allSettled(
      tokens.map((token) => service.client(AccountService).confirmEmailChange({ token })),
    );
    assert.equal(confirmed.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('refuses the account’s present address', async () => {
    const { email, accessToken } = await signedIn(service);
    const same = await refusal(
      accountOf(service, { accessToken }).changeEmail({ newEmail: email }),
    );
    assert.deepEqual([same.reason, same.fields], ['INVALID_REQUEST', ['new_email']]);
  });
});
