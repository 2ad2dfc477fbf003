import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import {
  createAccount,
  newEmail,
  PASSWORD,
  refusal,
  type Service,
  signedIn,
  signIn,
  startService,
  tokenIn,
} from '../harness.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startService();
});

const accountOf = (accessToken: string) => service.client(AccountService, 'grpc', accessToken);
const anybody = () => service.client(AccountService);
const isLive = async (token: string) => (await service.sessions.introspectToken({ token })).active;

async function changeToken(accessToken: string, newAddress: string): Promise<string> {
  await accountOf(accessToken).changeEmail({ newEmail: newAddress });
  return tokenIn(await service.mail.next(newAddress, /Confirm your new/)) ?? '';
}

/** A person whose address was changed a moment ago. */
async function moved() {
  const person = await signedIn(service);
  const to = newEmail();
  const token = await changeToken(person.accessToken, to);
  await anybody().confirmEmailChange({ token });
  return { ...person, to };
}

describe('ConfirmEmailChange', () => {
  it('changes the address, ends other sessions, and tells the old address', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const to = newEmail();
    const token = await changeToken(accessToken, to);
    const before = await accountOf(accessToken).getMe({});
    assert.equal(before.user?.email, email);
    await accountOf(accessToken).confirmEmailChange({ token });
    const { user } = await accountOf(accessToken).getMe({});
    assert.deepEqual([user?.email, user?.emailVerified], [to, true]);
    assert.equal(await isLive(other.accessToken), false);
    await signIn(service, to);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    const notice = await service.mail.next(email, /address was changed/);
    assert.ok(notice.text.includes(to));
  });

  it('C06 takes a token once, of 64 racers, and for ten minutes', async () => {
    const { accessToken } = await signedIn(service);
    const token = await changeToken(accessToken, newEmail());
    const racers = Array.from({ length: 64 }, () => anybody().confirmEmailChange({ token }));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const late = await signedIn(service);
    const expired = await changeToken(late.accessToken, newEmail());
    service.clock.advance(10 * MINUTE + 1000);
    const refused = await refusal(anybody().confirmEmailChange({ token: expired }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });

  it('C11 leaves an address to the account that has it, however it is written', async () => {
    const { accessToken } = await signedIn(service);
    const holder = await createAccount(service);
    await accountOf(accessToken).changeEmail({ newEmail: holder.toUpperCase() });
    await service.mail.next(holder, /already have an account/);
    const to = newEmail();
    const token = await changeToken(accessToken, to);
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
    const token = await changeToken(accessToken, to);
    await anybody().confirmEmailChange({ token });
    await signIn(service, to);
  });

  it('refuses the address that the account has', async () => {
    const { email, accessToken } = await signedIn(service);
    const same = await refusal(accountOf(accessToken).changeEmail({ newEmail: email }));
    assert.deepEqual([same.reason, same.fields], ['INVALID_REQUEST', ['new_email']]);
  });
});

describe('SecureAccount', () => {
  const noticeToken = async (to: string, subject: RegExp) =>
    tokenIn(await service.mail.next(to, subject)) ?? '';

  it('E06 gives the old address back, ends every session, and mails a link', async () => {
    const { email, to, accessToken } = await moved();
    const thief = await signIn(service, to);
    const token = await noticeToken(email, /address was changed/);
    await service.auth.secureAccount({ token });
    assert.equal(await isLive(thief.accessToken), false);
    assert.equal(await isLive(accessToken), false);
    const link = await noticeToken(email, /Set a new password/);
    for (const address of [email, to]) {
      assert.equal((await refusal(signIn(service, address))).reason, 'INVALID_CREDENTIALS');
    }
    const newPassword = 'seven violet kettles on a raft';
    await service.auth.resetPassword({ token: link, newPassword });
    await signIn(service, email, newPassword);
  });

  it('E06 voids what a thief was mailed meanwhile, and keeps what the owner was mailed before', async () => {
    const { email, to } = await moved();
    const rightful = await noticeToken(email, /address was changed/);
    const account = accountOf((await signIn(service, to)).accessToken);
    await account.changePassword({
      currentPassword: PASSWORD,
      newPassword: 'seven violet kettles on a raft',
    });
    const thiefs = await noticeToken(to, /password was changed/);
    await service.auth.requestPasswordReset({ email: to });
    const thiefsReset = await noticeToken(to, /Set a new password/);
    await service.auth.secureAccount({ token: rightful });
    const secure = service.auth.secureAccount({ token: thiefs });
    assert.equal((await refusal(secure)).reason, 'TOKEN_INVALID');
    const reset = service.auth.resetPassword({
      token: thiefsReset,
      newPassword: 'six orange kettles on a raft',
    });
    assert.equal((await refusal(reset)).reason, 'TOKEN_INVALID');
  });

  it('E06 does so although the thief answered their own notice first', async () => {
    const { email, to } = await moved();
    const rightful = await noticeToken(email, /address was changed/);
    await service.auth.requestPasswordReset({ email: to });
    const newPassword = 'seven violet kettles on a raft';
    await service.auth.resetPassword({
      token: await noticeToken(to, /Set a new password/),
      newPassword,
    });
    await service.auth.secureAccount({ token: await noticeToken(to, /password was changed/) });
    await service.auth.secureAccount({ token: rightful });
    await service.mail.next(email, /Set a new password/);
  });

  it('C06 takes a token once, for seven days', async () => {
    const { email } = await moved();
    const token = await noticeToken(email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE - 1000);
    const racers = Array.from({ length: 16 }, () =>
      service.client(AuthService, 'connect').secureAccount({ token }),
    );
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const late = await moved();
    const expired = await noticeToken(late.email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE + 1000);
    const refused = await refusal(service.auth.secureAccount({ token: expired }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });
});
