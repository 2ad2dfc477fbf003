import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { MfaFactor } from '../../gen/countersign/v1/mfa_pb.ts';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  isActive,
  NEW_PASSWORD,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { register, signInByPasskey, startPasskeyService } from '../passkeys/people.ts';
import { PHRASES, reset } from '../passwords/reset.ts';
import { moved } from './moved.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startPasskeyService();
});

describe('SecureAccount', () => {
  /** A thief has signed in with the password of a person who has been notified. */
  async function burgled() {
    const { email, accessToken } = await signedIn(service);
    const login = { email, password: PASSWORD, deviceLabel: 'of a thief' };
    const { outcome } = await service.auth.login(login);
    if (outcome.case !== 'tokens') throw new Error('no tokens');
    const notice = await noticeToken(email, /new device/);
    return { email, accessToken, thief: outcome.value, notice };
  }

  const noticeToken = async (to: string, subject: RegExp) =>
    tokenIn(await service.mail.next(to, subject)) ?? '';

  it('E06 restores the old address, ends every session, and mails a link', async () => {
    const { email, to, accessToken } = await moved(service);
    const thief = await signIn(service, to);
    const token = await noticeToken(email, /address was changed/);
    await service.auth.secureAccount({ token });
    assert.equal(await isActive(service, thief.accessToken), false);
    assert.equal(await isActive(service, accessToken), false);
    const link = await noticeToken(email, /Set a new password/);
    for (const address of [email, to]) {
      assert.equal((await refusal(signIn(service, address))).reason, 'INVALID_CREDENTIALS');
    }
    await service.auth.resetPassword({ token: link, newPassword: NEW_PASSWORD });
    await signIn(service, email, NEW_PASSWORD);
  });

  it('E06 voids links that a thief was mailed meanwhile, and keeps those that the owner was mailed before', async () => {
    const { email, to } = await moved(service);
    const rightful = await noticeToken(email, /address was changed/);
    const account = accountOf(service, await signIn(service, to));
    await account.changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
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

  it('E06 does so even if the thief answered their own notice first', async () => {
    const { email, to } = await moved(service);
    const rightful = await noticeToken(email, /address was changed/);
    await service.auth.requestPasswordReset({ email: to });
    await service.auth.resetPassword({
      token: await noticeToken(to, /Set a new password/),
      newPassword: NEW_PASSWORD,
    });
    await service.auth.secureAccount({ token: await noticeToken(to, /password was changed/) });
    await service.auth.secureAccount({ token: rightful });
    await service.mail.next(email, /Set a new password/);
  });

  it('C14 removes the app and the passkey that a thief added after the answered notice', async () => {
    const { email, notice, thief } = await burgled();
    const { secret } = await accountOf(service, thief).beginTotpEnrollment({});
    const code = appCode(secret, service.clock.now());
    await accountOf(service, thief).confirmTotpEnrollment({ code });
    const passkey = new Authenticator();
    await register(service, thief, passkey);
    await service.auth.secureAccount({ token: notice });
    const refused = await refusal(signInByPasskey(service, passkey));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    await reset(service, await noticeToken(email, /Set a new password/));
    await signIn(service, email, NEW_PASSWORD);
  });

  it('C14 leaves the owner their app, and voids recovery codes that a thief was given', async () => {
    const { email, account, secret } = await enrolled(service);
    await account.changePassword({ currentPassword: PASSWORD, newPassword: NEW_PASSWORD });
    const token = await noticeToken(email, /password was changed/);
    const { recoveryCodes } = await account.regenerateRecoveryCodes({});
    for (const each of recoveryCodes) noteSecret(each);
    await service.auth.secureAccount({ token });
    await reset(service, await noticeToken(email, /Set a new password/), PHRASES[1]);
    const { challengeToken, factors } = await challenged(service, email, PHRASES[1]);
    assert.deepEqual(factors, [MfaFactor.TOTP]);
    const value = appCode(secret, service.clock.now(), 1);
    await service.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } });
  });

  it('C14 ends an enrolment that a thief has begun', async () => {
    const { email, notice, thief } = await burgled();
    const { secret } = await accountOf(service, thief).beginTotpEnrollment({});
    await service.auth.secureAccount({ token: notice });
    await reset(service, await noticeToken(email, /Set a new password/));
    const owner = accountOf(service, await signIn(service, email, NEW_PASSWORD));
    const code = appCode(secret, service.clock.now());
    assert.equal((await refusal(owner.confirmTotpEnrollment({ code }))).reason, 'MFA_STATE');
  });

  it('C14 S15 finds what came later even if clocks differ by five minutes', async () => {
    const behind = await startReplica(service, { clock: new TestClock() });
    service.clock.advance(5 * MINUTE);
    const { notice, email } = await burgled();
    const thief = await signIn(behind, email);
    const passkey = new Authenticator();
    await register(behind, thief, passkey);
    await service.auth.secureAccount({ token: notice });
    const refused = await refusal(signInByPasskey(service, passkey));
    assert.equal(refused.reason, 'MFA_CODE_INVALID');
    const later = await noticeToken(email, /passkey was added/);
    const late = await refusal(service.auth.secureAccount({ token: later }));
    assert.equal(late.reason, 'TOKEN_INVALID');
  });

  it('C06 accepts a token once, for seven days', async () => {
    const { email } = await moved(service);
    const token = await noticeToken(email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE - 1000);
    const racers = Array.from({ length: 16 }, () =>
      service.client(AuthService, 'connect').secureAccount({ token }),
    );
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const late = await moved(service);
    const expired = await noticeToken(late.email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE + 1000);
    const refused = await refusal(service.auth.secureAccount({ token: expired }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });
});
