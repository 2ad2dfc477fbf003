import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { appCode, enrolled } from '../authenticator-app.ts';
import { accountOf, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const MINUTE = 60_000;

describe('Reauthenticate', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const authOf = (accessToken: string) => service.client(AuthService, 'grpc', accessToken);
  const password = (value: string) => ({ proof: { case: 'password' as const, value } });

  /** A person whose sign-in is eleven minutes old, with tokens of this moment. */
  async function longSignedIn() {
    const { email, refreshToken } = await signedIn(service);
    service.clock.advance(11 * MINUTE);
    const { tokens } = await service.auth.refreshToken({ refreshToken });
    if (!tokens) throw new Error('no tokens');
    return { email, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken };
  }

  it('C10 opens what asks for a recent sign-in, here and after the next refresh', async () => {
    const { accessToken, refreshToken } = await longSignedIn();
    const stale = await refusal(accountOf(service, { accessToken }).beginTotpEnrollment({}));
    assert.deepEqual(
      [stale.code, stale.reason],
      [Code.Unauthenticated, 'REAUTHENTICATION_REQUIRED'],
    );
    const { tokens } = await authOf(accessToken).reauthenticate(password(PASSWORD));
    assert.equal(tokens?.refreshToken, '');
    assert.ok(
      await accountOf(service, { accessToken: tokens?.accessToken ?? '' }).beginTotpEnrollment({}),
    );
    const { tokens: next } = await service.auth.refreshToken({ refreshToken });
    assert.ok(
      await accountOf(service, { accessToken: next?.accessToken ?? '' }).beginTotpEnrollment({}),
    );
  });

  it('C10 is asked for by every method that would help a thief to stay', async () => {
    const account = accountOf(service, await longSignedIn());
    const calls = {
      changeEmail: account.changeEmail({ newEmail: 'thief@example.com' }),
      beginTotpEnrollment: account.beginTotpEnrollment({}),
      confirmTotpEnrollment: account.confirmTotpEnrollment({ code: '123456' }),
      disableTotp: account.disableTotp({}),
      regenerateRecoveryCodes: account.regenerateRecoveryCodes({}),
      beginPasskeyRegistration: account.beginPasskeyRegistration({}),
      finishPasskeyRegistration: account.finishPasskeyRegistration({ credentialJson: '{}' }),
      deletePasskey: account.deletePasskey({ passkeyId: '01890000-0000-7000-8000-000000000000' }),
      deleteMe: account.deleteMe({}),
    };
    await Promise.all(
      Object.entries(calls).map(async ([name, call]) =>
        assert.equal((await refusal(call)).reason, 'REAUTHENTICATION_REQUIRED', name),
      ),
    );
  });

  it('refuses a wrong proof, and counts it', async () => {
    const { accessToken } = await longSignedIn();
    for (let i = 0; i < 5; i += 1) {
      const wrong = await refusal(authOf(accessToken).reauthenticate(password(`wrong ${i}`)));
      assert.deepEqual([wrong.code, wrong.reason], [Code.Unauthenticated, 'INVALID_CREDENTIALS']);
    }
    const locked = await refusal(authOf(accessToken).reauthenticate(password(PASSWORD)));
    assert.deepEqual([locked.code, locked.reason], [Code.PermissionDenied, 'ACCOUNT_LOCKED']);
  });

  it('takes a code of the app, once, and adds it to what the tokens say', async () => {
    const { accessToken, secret } = await enrolled(service);
    const value = appCode(secret, service.clock.now());
    const proof = { proof: { case: 'totpCode' as const, value } };
    const { tokens } = await authOf(accessToken).reauthenticate(proof);
    const { principal } = await service.sessions.introspectToken({
      token: tokens?.accessToken ?? '',
    });
    assert.deepEqual(principal?.amr, ['pwd', 'otp', 'mfa']);
    const again = await refusal(authOf(accessToken).reauthenticate(proof));
    assert.equal(again.reason, 'MFA_CODE_INVALID');
  });

  it('wants an access token, and exactly one proof', async () => {
    const nobody = await refusal(service.auth.reauthenticate(password(PASSWORD)));
    assert.equal(nobody.reason, 'CREDENTIALS_MISSING');
    const { accessToken } = await signedIn(service);
    const none = await refusal(authOf(accessToken).reauthenticate({}));
    assert.deepEqual([none.code, none.fields], [Code.InvalidArgument, ['proof']]);
  });
});
