import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { appCode } from '../authenticator-app.ts';
import { accountOf, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('BeginTotpEnrollment', () => {
  it('returns a secret, and a URI for an app to read', async () => {
    const { email, accessToken } = await signedIn(service);
    const { secret, otpauthUri } = await accountOf(service, { accessToken }).beginTotpEnrollment(
      {},
    );
    const uri = new URL(otpauthUri);
    assert.equal(uri.protocol, 'otpauth:');
    assert.equal(decodeURIComponent(uri.pathname), `/issuer.test:${email}`);
    assert.equal(uri.searchParams.get('secret'), secret);
    assert.match(secret, /^[A-Z2-7]{32}$/);
  });

  it('turns nothing on', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = accountOf(service, { accessToken });
    await account.beginTotpEnrollment({});
    await signIn(service, email);
    assert.equal((await account.getMe({})).user?.mfaEnabled, false);
  });

  it('returns another secret when it is called again, and refuses a caller who has an app', async () => {
    const { accessToken } = await signedIn(service);
    const account = accountOf(service, { accessToken });
    const first = await account.beginTotpEnrollment({});
    const second = await account.beginTotpEnrollment({});
    assert.notEqual(first.secret, second.secret);
    await account.confirmTotpEnrollment({ code: appCode(second.secret, service.clock.now()) });
    assert.equal((await refusal(account.beginTotpEnrollment({}))).reason, 'MFA_STATE');
  });
});
