import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  createAccount,
  isActive,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { changeToken } from './moved.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startService();
});

const anybody = () => service.client(AccountService);

describe('ConfirmEmailChange', () => {
  it('changes the address, ends other sessions, and tells the old address', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const to = newEmail();
    const token = await changeToken(service, { accessToken }, to);
    const before = await accountOf(service, { accessToken }).getMe({});
    assert.equal(before.user?.email, email);
    await accountOf(service, { accessToken }).confirmEmailChange({ token });
    const { user } = await accountOf(service, { accessToken }).getMe({});
    assert.deepEqual([user?.email, user?.emailVerified], [to, true]);
    assert.equal(await isActive(service, other.accessToken), false);
    await signIn(service, to);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    const notice = await service.mail.next(email, /address was changed/);
    assert.ok(notice.text.includes(to));
  });

  it('C06 accepts a token once, from 64 racers, for ten minutes', async () => {
    const { accessToken } = await signedIn(service);
    const token = await changeToken(service, { accessToken }, newEmail());
    const racers = Array.from({ length: 64 }, () => anybody().confirmEmailChange({ token }));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const late = await signedIn(service);
    const expired = await changeToken(service, late, newEmail());
    service.clock.advance(10 * MINUTE + 1000);
    const refused = await refusal(anybody().confirmEmailChange({ token: expired }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });

  it('C11 leaves an address to the account that has it, however it is written', async () => {
    const { accessToken } = await signedIn(service);
    const holder = await createAccount(service);
    await accountOf(service, { accessToken }).changeEmail({ newEmail: holder.toUpperCase() });
    await service.mail.next(holder, /already have an account/);
    const to = newEmail();
    const token = await changeToken(service, { accessToken }, to);
    const rival = await service.auth.signUp({ email: to, password: PASSWORD });
    assert.ok(rival);
    const proof = tokenIn(await service.mail.next(to, /Confirm your address/)) ?? '';
    await service.auth.verifyEmail({ token: proof });
    const refused = await refusal(anybody().confirmEmailChange({ token }));
    assert.deepEqual([refused.code, refused.reason], [Code.AlreadyExists, 'EMAIL_TAKEN']);
  });

  it('C11 takes the place of a sign-up that nobody has confirmed', async () => {
    const { accessToken } = await signedIn(service);
    const to = newEmail();
    await service.auth.signUp({ email: to, password: 'a phrase of a stranger, 99' });
    await service.mail.next(to, /Confirm your address/);
    const token = await changeToken(service, { accessToken }, to);
    await anybody().confirmEmailChange({ token });
    await signIn(service, to);
  });
});
