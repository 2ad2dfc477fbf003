import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  createAccount,
  isActive,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { PHRASES, reset, resetToken } from './reset.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startService();
});

describe('ResetPassword', () => {
  it('C07 sets the password, ends all sessions on every replica, and tells the owner', async () => {
    const replica = await startReplica(service);
    const { email, accessToken } = await signedIn(service);
    assert.equal(await isActive(replica, accessToken), true);
    await reset(service, await resetToken(service, email));
    assert.equal(await isActive(service, accessToken), false);
    await eventually(async () => !(await isActive(replica, accessToken)));
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    await signIn(service, email, NEW_PASSWORD);
    await service.mail.next(email, /password was changed/);
  });

  it('C07 still asks for the second factor', async () => {
    const { email, secret } = await enrolled(service);
    await reset(service, await resetToken(service, email));
    const login = { email, password: NEW_PASSWORD, deviceLabel: '' };
    const { outcome } = await service.auth.login(login);
    assert.equal(outcome.case, 'mfa');
    const challengeToken = outcome.case === 'mfa' ? outcome.value.challengeToken : '';
    const value = appCode(secret, service.clock.now());
    assert.ok(
      (await service.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } }))
        .tokens,
    );
  });

  it('C07 voids a sign-in that waits for its second factor', async () => {
    const { email, secret } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    await reset(service, await resetToken(service, email));
    const value = appCode(secret, service.clock.now());
    const late = service.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } });
    assert.equal((await refusal(late)).reason, 'TOKEN_INVALID');
  });

  it('C06 accepts a token once: of 64 racers on two replicas, one wins', async () => {
    const replica = await startReplica(service);
    const token = await resetToken(service, await createAccount(service));
    const racers = Array.from({ length: 64 }, (_, i) => reset(i % 2 ? service : replica, token));
    const results = await Promise.allSettled(racers);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await refusal(reset(service, token))).reason, 'TOKEN_INVALID');
  });

  it('C06 accepts only the newest token, for half an hour', async () => {
    const email = await createAccount(service);
    const older = await resetToken(service, email);
    service.clock.advance(5 * MINUTE + 1000);
    const newer = await resetToken(service, email);
    assert.equal((await refusal(reset(service, older))).reason, 'TOKEN_INVALID');
    service.clock.advance(30 * MINUTE + 1000);
    assert.equal((await refusal(reset(service, newer))).reason, 'TOKEN_EXPIRED');
  });

  it('C06 accepts no token of another kind', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    assert.equal((await refusal(reset(service, token))).reason, 'TOKEN_INVALID');
    await service.auth.verifyEmail({ token });
    const resetting = await resetToken(service, email);
    assert.equal(
      (await refusal(service.auth.verifyEmail({ token: resetting }))).reason,
      'TOKEN_INVALID',
    );
  });

  it('C02 refuses the last five passwords, and leaves the token valid', async () => {
    const email = await createAccount(service);
    for (const password of PHRASES.slice(0, 4))
      await reset(service, await resetToken(service, email), password);
    const token = await resetToken(service, email);
    for (const used of [PASSWORD, ...PHRASES.slice(0, 4)]) {
      const refused = await refusal(reset(service, token, used));
      assert.deepEqual([refused.code, refused.reason], [Code.InvalidArgument, 'PASSWORD_REUSED']);
      assert.deepEqual(refused.fields, ['new_password']);
    }
    await reset(service, token, PHRASES[4]);
    await reset(service, await resetToken(service, email), PASSWORD);
    await signIn(service, email);
  });

  it('C01 holds the new password to the policy, and leaves the token valid', async () => {
    const email = await createAccount(service);
    const token = await resetToken(service, email);
    const refused = await refusal(reset(service, token, 'too short'));
    assert.deepEqual([refused.reason, refused.fields], ['PASSWORD_TOO_WEAK', ['new_password']]);
    await reset(service, token);
  });

  it('proves the address, too', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    await reset(service, await resetToken(service, email));
    await signIn(service, email, NEW_PASSWORD);
  });
});
