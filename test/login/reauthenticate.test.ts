import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { decodeJwt } from 'jose';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
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

  it('C10 opens methods that require a recent sign-in, at once and after the next refresh', async () => {
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

  it('C10 is required by every method that would help a thief to stay', async () => {
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

  it('accepts a code of the app, once, and adds it to what the tokens say', async () => {
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

  describe('of an account with a second factor', () => {
    type Proof = { case: 'password' | 'totpCode'; value: string };

    /** What an access token says about how its owner signed in. */
    const says = (accessToken: string) => {
      const { amr, acr, auth_time: authTime } = decodeJwt(accessToken);
      return { amr, acr, authTime };
    };

    const seconds = () => Math.floor(service.clock.now().getTime() / 1000);

    const prove = async (accessToken: string, proof: Proof) => {
      const { tokens } = await authOf(accessToken).reauthenticate({ proof });
      const token = tokens?.accessToken ?? '';
      return { token, ...says(token) };
    };

    const byPassword: Proof = { case: 'password', value: PASSWORD };
    const byCode = (secret: string): Proof => ({
      case: 'totpCode',
      value: appCode(secret, service.clock.now()),
    });

    /** A person who has signed in with both factors, and then waited. */
    async function signedInWithBoth(minutes: number) {
      const { email, secret } = await enrolled(service);
      const { challengeToken } = await challenged(service, email);
      const factor = { case: 'totpCode' as const, value: byCode(secret).value };
      const { tokens } = await service.auth.completeMfa({ challengeToken, factor });
      assert.equal(says(tokens?.accessToken ?? '').acr, 'aal2');
      const waited = await afterwards(tokens?.refreshToken ?? '', minutes);
      return { secret, ...waited };
    }

    /** The session's tokens so many minutes later. */
    async function afterwards(refreshToken: string, minutes: number) {
      service.clock.advance(minutes * MINUTE);
      const { tokens } = await service.auth.refreshToken({ refreshToken });
      return { accessToken: tokens?.accessToken ?? '', refreshToken: tokens?.refreshToken ?? '' };
    }

    it('C10 says `aal1` after a password alone, whatever was proved before', async () => {
      for (const minutes of [1, 11]) {
        const { accessToken, refreshToken } = await signedInWithBoth(minutes);
        const from = seconds();
        const { token: _, ...said } = await prove(accessToken, byPassword);
        assert.deepEqual([said.amr, said.acr], [['pwd'], 'aal1']);
        assert.ok(Number(said.authTime) >= from && Number(said.authTime) <= seconds());
        assert.deepEqual(says((await afterwards(refreshToken, 1)).accessToken), said);
      }
    });

    it('C10 opens nothing that requires a recent sign-in by a password alone', async () => {
      const { accessToken } = await signedInWithBoth(11);
      const { token } = await prove(accessToken, byPassword);
      const account = accountOf(service, { accessToken: token });
      const calls = [
        account.disableTotp({}),
        account.regenerateRecoveryCodes({}),
        account.beginPasskeyRegistration({}),
        account.changeEmail({ newEmail: 'thief@example.com' }),
        account.deleteMe({}),
      ];
      for (const { reason, message } of await Promise.all(calls.map(refusal))) {
        assert.equal(reason, 'REAUTHENTICATION_REQUIRED');
        assert.match(message, /second factor/);
      }
    });

    it('C10 opens it by a code, which says no more than that', async () => {
      const { accessToken, secret } = await signedInWithBoth(11);
      const { token, amr, acr } = await prove(accessToken, byCode(secret));
      assert.deepEqual([amr, acr], [['otp'], 'aal1']);
      assert.ok(await accountOf(service, { accessToken: token }).regenerateRecoveryCodes({}));
    });

    it('C10 counts one factor within ten minutes of the other as both, once', async () => {
      const { accessToken, refreshToken, secret } = await signedInWithBoth(11);
      await prove(accessToken, byPassword);
      const second = await afterwards(refreshToken, 9);
      const both = await prove(second.accessToken, byCode(secret));
      assert.deepEqual([both.amr, both.acr], [['pwd', 'otp', 'mfa'], 'aal2']);
      const third = await afterwards(second.refreshToken, 9);
      assert.equal((await prove(third.accessToken, byPassword)).acr, 'aal1');
      const fourth = await afterwards(third.refreshToken, 11);
      assert.equal((await prove(fourth.accessToken, byCode(secret))).acr, 'aal1');
      assert.equal((await prove(fourth.accessToken, byPassword)).acr, 'aal2');
    });
  });

  it('requires an access token, and exactly one proof', async () => {
    const nobody = await refusal(service.auth.reauthenticate(password(PASSWORD)));
    assert.equal(nobody.reason, 'CREDENTIALS_MISSING');
    const { accessToken } = await signedIn(service);
    const none = await refusal(authOf(accessToken).reauthenticate({}));
    assert.deepEqual([none.code, none.fields], [Code.InvalidArgument, ['proof']]);
  });
});
