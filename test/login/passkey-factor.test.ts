import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { MfaFactor } from '../../gen/countersign/v1/mfa_pb.ts';
import { challenged, enrolled } from '../authenticator-app.ts';
import { signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import {
  loginOptions,
  register,
  signInByPasskey,
  startPasskeyService,
} from '../passkeys/people.ts';

describe('A passkey as a second factor', () => {
  let service: Service;

  before(async () => {
    service = await startPasskeyService();
  });

  const complete = (challengeToken: string, value: string) =>
    service.auth.completeMfa({
      challengeToken,
      factor: { case: 'passkeyCredentialJson', value },
    });

  /** A person with an authenticator app and a passkey. */
  async function withBoth() {
    const person = await enrolled(service);
    const authenticator = new Authenticator();
    await register(service, person, authenticator);
    return { ...person, authenticator };
  }

  it('completes a sign-in that a password began', async () => {
    const { email, authenticator } = await withBoth();
    const { challengeToken, factors } = await challenged(service, email);
    assert.ok(factors.includes(MfaFactor.PASSKEY));
    const options = await loginOptions(service, challengeToken);
    assert.equal(JSON.parse(options).allowCredentials.length, 1);
    const { tokens } = await complete(challengeToken, authenticator.get(options));
    const token = tokens?.accessToken ?? '';
    const { principal } = await service.sessions.introspectToken({ token });
    assert.deepEqual(principal?.amr, ['pwd', 'hwk', 'user', 'mfa']);
  });

  it("C06 is accepted once, and nobody else's is", async () => {
    const { email, authenticator } = await withBoth();
    const stranger = await withBoth();
    const { challengeToken } = await challenged(service, email);
    const theirs = stranger.authenticator.get(await loginOptions(service));
    assert.equal((await refusal(complete(challengeToken, theirs))).reason, 'MFA_CODE_INVALID');
    const answer = authenticator.get(await loginOptions(service, challengeToken));
    assert.ok((await complete(challengeToken, answer)).tokens);
    const again = await challenged(service, email);
    assert.equal(
      (await refusal(complete(again.challengeToken, answer))).reason,
      'MFA_CODE_INVALID',
    );
  });

  it('C10 renews a sign-in', async () => {
    const { authenticator, accessToken } = await withBoth();
    const value = authenticator.get(await loginOptions(service));
    const proof = { case: 'passkeyCredentialJson' as const, value };
    const auth = service.client(AuthService, 'grpc', accessToken);
    const { tokens } = await auth.reauthenticate({ proof });
    const token = tokens?.accessToken ?? '';
    const { principal } = await service.sessions.introspectToken({ token });
    assert.deepEqual(principal?.amr, ['pwd', 'hwk', 'user', 'mfa']);
    assert.equal((await refusal(auth.reauthenticate({ proof }))).reason, 'MFA_CODE_INVALID');
  });

  it('C05 signs in although the password is locked', async () => {
    const person = await signedIn(service);
    const authenticator = new Authenticator();
    await register(service, person, authenticator);
    for (let i = 0; i < 5; i += 1) await refusal(signIn(service, person.email, `wrong ${i}`));
    assert.equal((await refusal(signIn(service, person.email))).reason, 'INVALID_CREDENTIALS');
    assert.ok((await signInByPasskey(service, authenticator)).accessToken);
  });
});
