import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import {
  accountOf,
  isActive,
  NEW_PASSWORD,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { PHRASES, reset, resetToken } from './reset.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ChangePassword', () => {
  it('C07 asks for the current one, ends the other sessions, and tells the owner', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const account = accountOf(service, { accessToken });
    const wrong = await refusal(
      account.changePassword({ currentPassword: 'wrong', newPassword: NEW_PASSWORD }),
    );
    assert.deepEqual([wrong.code, wrong.reason], [Code.InvalidArgument, 'INVALID_CREDENTIALS']);
    assert.deepEqual(wrong.fields, ['current_password']);
    await account.changePassword({ currentPassword: PASSWORD, newPassword: NEW_PASSWORD });
    assert.equal(await isActive(service, accessToken), true);
    assert.equal(await isActive(service, other.accessToken), false);
    const { refreshToken } = other;
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    await signIn(service, email, NEW_PASSWORD);
    await service.mail.next(email, /password was changed/);
  });

  it('C07 voids the reset links that were mailed before', async () => {
    const { email, accessToken } = await signedIn(service);
    const token = await resetToken(service, email);
    await accountOf(service, { accessToken }).changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    assert.equal((await refusal(reset(service, token, PHRASES[1]))).reason, 'TOKEN_INVALID');
  });

  it('C02 refuses the current one again', async () => {
    const { accessToken } = await signedIn(service);
    const again = { currentPassword: PASSWORD, newPassword: PASSWORD };
    const refused = await refusal(accountOf(service, { accessToken }).changePassword(again));
    assert.equal(refused.reason, 'PASSWORD_REUSED');
  });

  it('changes the password once for two calls at once', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = accountOf(service, { accessToken });
    const changes = PHRASES.slice(0, 2).map((newPassword) =>
      account.changePassword({ currentPassword: PASSWORD, newPassword }),
    );
    const results = await Promise.allSettled(changes);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    const winner = PHRASES[results.findIndex(({ status }) => status === 'fulfilled')];
    await signIn(service, email, winner);
  });
});
