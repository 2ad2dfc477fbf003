import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import {
  createAccount,
  eventually,
  newEmail,
  PASSWORD,
  refusal,
  type Service,
  signedIn,
  signIn,
  sql,
  startReplica,
  startService,
  tokenIn,
} from '../harness.ts';

const MINUTE = 60_000;
const PHRASES = ['violet', 'amber', 'indigo', 'scarlet', 'ochre', 'teal', 'umber'].map(
  (colour) => `seven ${colour} kettles on a raft`,
);
const NEW = PHRASES[0] ?? '';

let service: Service;

before(async () => {
  service = await startService();
});

const isLive = async (token: string, at = service) =>
  (await at.sessions.introspectToken({ token })).active;

/** Asks for a reset link, and gives its token. */
async function resetToken(email: string): Promise<string> {
  const since = service.mail.mails.length;
  await service.auth.requestPasswordReset({ email });
  return tokenIn(await service.mail.next(email, /Set a new password/, since)) ?? '';
}

const reset = (token: string, newPassword = NEW, at = service) =>
  at.auth.resetPassword({ token, newPassword });

describe('ResetPassword', () => {
  it('C07 sets the password, ends all sessions on every replica, and tells the owner', async () => {
    const replica = await startReplica(service);
    const { email, accessToken } = await signedIn(service);
    assert.equal(await isLive(accessToken, replica), true);
    await reset(await resetToken(email));
    assert.equal(await isLive(accessToken), false);
    await eventually(async () => !(await isLive(accessToken, replica)), 1000);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    await signIn(service, email, NEW);
    await service.mail.next(email, /password was changed/);
  });

  it('C07 asks for the second factor as before', async () => {
    const { email, secret } = await enrolled(service);
    await reset(await resetToken(email));
    const login = { email, password: NEW, deviceLabel: '' };
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
    await reset(await resetToken(email));
    const value = appCode(secret, service.clock.now());
    const late = service.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } });
    assert.equal((await refusal(late)).reason, 'TOKEN_INVALID');
  });

  it('C06 takes a token once: of 64 racers on two replicas, one wins', async () => {
    const replica = await startReplica(service);
    const token = await resetToken(await createAccount(service));
    const racers = Array.from({ length: 64 }, (_, i) =>
      reset(token, NEW, i % 2 ? service : replica),
    );
    const results = await Promise.allSettled(racers);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await refusal(reset(token))).reason, 'TOKEN_INVALID');
  });

  it('C06 takes the newest token alone, and for half an hour', async () => {
    const email = await createAccount(service);
    const older = await resetToken(email);
    const newer = await resetToken(email);
    assert.equal((await refusal(reset(older))).reason, 'TOKEN_INVALID');
    service.clock.advance(30 * MINUTE + 1000);
    assert.equal((await refusal(reset(newer))).reason, 'TOKEN_EXPIRED');
  });

  it('C06 takes no token of another kind', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    assert.equal((await refusal(reset(token))).reason, 'TOKEN_INVALID');
    await service.auth.verifyEmail({ token });
    const resetting = await resetToken(email);
    assert.equal(
      (await refusal(service.auth.verifyEmail({ token: resetting }))).reason,
      'TOKEN_INVALID',
    );
  });

  it('C02 refuses the last five passwords, and leaves the token valid', async () => {
    const email = await createAccount(service);
    for (const password of PHRASES.slice(0, 4)) await reset(await resetToken(email), password);
    const token = await resetToken(email);
    for (const used of [PASSWORD, ...PHRASES.slice(0, 4)]) {
      const refused = await refusal(reset(token, used));
      assert.deepEqual([refused.code, refused.reason], [Code.InvalidArgument, 'PASSWORD_REUSED']);
      assert.deepEqual(refused.fields, ['new_password']);
    }
    await reset(token, PHRASES[4]);
    await reset(await resetToken(email), PASSWORD);
    await signIn(service, email);
  });

  it('C01 holds the new password to the policy, and leaves the token valid', async () => {
    const email = await createAccount(service);
    const token = await resetToken(email);
    const refused = await refusal(reset(token, 'too short'));
    assert.deepEqual([refused.reason, refused.fields], ['PASSWORD_TOO_WEAK', ['new_password']]);
    await reset(token);
  });

  it('proves the address, too', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD });
    await reset(await resetToken(email));
    await signIn(service, email, NEW);
  });

  it('C04 mails nobody for an address without an account, or a suspended one', async () => {
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      email,
    ]);
    const since = service.mail.mails.length;
    await service.auth.requestPasswordReset({ email });
    await service.auth.requestPasswordReset({ email: newEmail() });
    await resetToken(await createAccount(service));
    const mailed = service.mail.mails
      .slice(since)
      .filter(({ subject }) => /new pass/.test(subject));
    assert.equal(mailed.length, 1);
  });
});

describe('ChangePassword', () => {
  const accountOf = (accessToken: string, at = service) =>
    at.client(AccountService, 'grpc', accessToken);

  it('C07 asks for the current one, ends the other sessions, and tells the owner', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const account = accountOf(accessToken);
    const wrong = await refusal(
      account.changePassword({ currentPassword: 'wrong', newPassword: NEW }),
    );
    assert.deepEqual([wrong.code, wrong.reason], [Code.InvalidArgument, 'INVALID_CREDENTIALS']);
    assert.deepEqual(wrong.fields, ['current_password']);
    await account.changePassword({ currentPassword: PASSWORD, newPassword: NEW });
    assert.equal(await isLive(accessToken), true);
    assert.equal(await isLive(other.accessToken), false);
    const { refreshToken } = other;
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    await signIn(service, email, NEW);
    await service.mail.next(email, /password was changed/);
  });

  it('C07 voids the reset links that were mailed before', async () => {
    const { email, accessToken } = await signedIn(service);
    const token = await resetToken(email);
    await accountOf(accessToken).changePassword({ currentPassword: PASSWORD, newPassword: NEW });
    assert.equal((await refusal(reset(token, PHRASES[1]))).reason, 'TOKEN_INVALID');
  });

  it('C02 refuses the current one again', async () => {
    const { accessToken } = await signedIn(service);
    const again = { currentPassword: PASSWORD, newPassword: PASSWORD };
    const refused = await refusal(accountOf(accessToken).changePassword(again));
    assert.equal(refused.reason, 'PASSWORD_REUSED');
  });

  it('is made once by two at once', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = accountOf(accessToken);
    const changes = PHRASES.slice(0, 2).map((newPassword) =>
      account.changePassword({ currentPassword: PASSWORD, newPassword }),
    );
    const results = await Promise.allSettled(changes);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    const winner = PHRASES[results.findIndex(({ status }) => status === 'fulfilled')];
    await signIn(service, email, winner);
  });
});
