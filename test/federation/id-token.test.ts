import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { generateKeyPair, SignJWT } from 'jose';
import { appCode } from '../authenticator-app.ts';
import { accountOf, claimsOf, newEmail } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { FakeProvider, type Grant } from './fake-provider.ts';
import { REDIRECT } from './peer.ts';
import { addProviders, startFederatedService } from './people.ts';

type Claims = Record<string, unknown>;

let service: Service;
let fake: FakeProvider;

before(async () => {
  fake = await FakeProvider.start();
  service = await startFederatedService([fake.settings()]);
});

async function login(claims: Claims, token?: Grant['token']) {
  const begun = await service.auth.startFederatedLogin({ provider: 'fake', redirectUri: REDIRECT });
  const good = { sub: newEmail(), email: newEmail(), email_verified: true };
  const grant = { claims: { ...good, ...claims }, ...(token ? { token } : {}) };
  const answer = fake.visit(begun.authorizationUrl, grant);
  return service.auth.finishFederatedLogin({ ...answer, loginToken: begun.loginToken });
}

/** A token with another header, and a signature of zeros or none. */
function unsigned(header: Claims, claims: Claims, signature = ''): string {
  const part = (value: Claims) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part(header)}.${part({ iat: now, ...claims })}.${signature}`;
}

const ZEROS = Buffer.alloc(64).toString('base64url');

describe('An ID token', () => {
  it('F01 that holds signs in', async () => {
    assert.equal((await login({})).outcome.case, 'tokens');
    assert.equal((await login({ aud: ['countersign'] })).outcome.case, 'tokens');
    const both = { aud: ['countersign', 'other'], azp: 'countersign' };
    assert.equal((await login(both)).outcome.case, 'tokens');
  });

  const wrongClaims: Record<string, Claims> = {
    'another nonce': { nonce: 'another' },
    'no nonce': { nonce: undefined },
    'another audience': { aud: 'other' },
    'several audiences and no azp': { aud: ['countersign', 'other'] },
    'another azp': { aud: ['countersign', 'other'], azp: 'other' },
    'another issuer': { iss: 'https://evil.example' },
    'an end that is over': { exp: 1 },
    'no end': { exp: undefined },
    'no subject': { sub: undefined },
    'an empty subject': { sub: '' },
    'a subject of 5,000 characters': { sub: 'x'.repeat(5000) },
    'a subject that is a number': { sub: 17 },
    'a subject with a NUL': { sub: 'a\0b' },
  };
  for (const [name, claims] of Object.entries(wrongClaims)) {
    it(`F01 is refused with ${name}`, async () => {
      const { code, reason } = await refusal(login(claims));
      assert.deepEqual([code, reason], [Code.Unauthenticated, 'FEDERATED_LOGIN_REFUSED']);
    });
  }

  const wrongSignatures: Record<string, (claims: Claims) => Promise<string | undefined>> = {
    'a signature of zeros': async (claims) =>
      unsigned({ alg: 'ES256', kid: 'key-1' }, claims, ZEROS),
    'no signature': async (claims) => unsigned({ alg: 'ES256', kid: 'key-1' }, claims),
    'the algorithm none': async (claims) => unsigned({ alg: 'none' }, claims),
    'the secret of the client as its key': (claims) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuedAt()
        .sign(Buffer.from('secret-of-the-client')),
    "another's key under the same name": async (claims) => {
      const { privateKey } = await generateKeyPair('ES256');
      const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'key-1' });
      return jwt.setIssuedAt().sign(privateKey);
    },
    'a key that nobody knows': (claims) => fake.sign(claims, { kid: 'unknown' }),
    'another claim put in afterwards': async (claims) => {
      const [header, , signature] = (await fake.sign(claims)).split('.');
      const payload = Buffer.from(JSON.stringify({ ...claims, sub: 'victim', iat: 1 }));
      return [header, payload.toString('base64url'), signature].join('.');
    },
    'nothing at all': async () => undefined,
  };
  for (const [name, token] of Object.entries(wrongSignatures)) {
    it(`F01 is refused with ${name}`, async () => {
      const { code, reason } = await refusal(login({}, token));
      assert.deepEqual([code, reason], [Code.Unauthenticated, 'FEDERATED_LOGIN_REFUSED']);
    });
  }

  /** Has the provider say that the person proved to it who they are this long ago. */
  async function finishedAfter(seconds: number, reauthenticate: boolean, who: object = {}) {
    const request = { provider: 'fake', redirectUri: REDIRECT, reauthenticate };
    const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(request);
    const authTime = Math.floor(service.clock.now().getTime() / 1000) - seconds;
    const claims = { sub: newEmail(), email: newEmail(), email_verified: true, ...who };
    const answer = fake.visit(authorizationUrl, { claims: { ...claims, auth_time: authTime } });
    const { outcome } = await service.auth.finishFederatedLogin({ ...answer, loginToken });
    return { outcome, authTime };
  }

  async function provedBefore(...visit: Parameters<typeof finishedAfter>) {
    const { outcome, authTime } = await finishedAfter(...visit);
    if (outcome.case !== 'tokens') throw new Error('no tokens');
    return { tokens: outcome.value, authTime };
  }

  it('C10 is refused if the person was to prove again who they are, and has not', async () => {
    const { reason, metadata } = await refusal(provedBefore(3600, true));
    assert.deepEqual(
      [reason, metadata],
      ['FEDERATED_LOGIN_REFUSED', { provider_error: 'login_required' }],
    );
    const { tokens } = await provedBefore(0, true);
    assert.ok(await accountOf(service, tokens).beginTotpEnrollment({}));
  });

  it('C10 is no recent sign-in if the person proved long ago who they are', async () => {
    const { tokens, authTime } = await provedBefore(3600, false);
    const refreshed = await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
    for (const { accessToken } of [tokens, refreshed.tokens ?? tokens]) {
      assert.equal(claimsOf(accessToken)['auth_time'], authTime);
      const refused = await refusal(accountOf(service, { accessToken }).beginTotpEnrollment({}));
      assert.equal(refused.reason, 'REAUTHENTICATION_REQUIRED');
    }
    const ahead = await provedBefore(-3600, false);
    const { auth_time: later, iat } = claimsOf(ahead.tokens.accessToken);
    assert.equal(later, iat);
  });

  it('C10 is no recent sign-in either with the second factor, which was proved now', async () => {
    const who = { sub: newEmail(), email: newEmail() };
    const { tokens: first } = await provedBefore(0, false, who);
    const account = accountOf(service, first);
    const { secret } = await account.beginTotpEnrollment({});
    await account.confirmTotpEnrollment({ code: appCode(secret, service.clock.now()) });
    service.clock.advance(60_000);
    const { outcome, authTime } = await finishedAfter(3600, false, who);
    assert.ok(outcome.case === 'mfa');
    const { tokens } = await service.auth.completeMfa({
      challengeToken: outcome.value.challengeToken,
      factor: { case: 'totpCode', value: appCode(secret, service.clock.now()) },
    });
    assert.ok(tokens);
    assert.equal(claimsOf(tokens.accessToken)['auth_time'], authTime);
    const refused = await refusal(accountOf(service, tokens).disableTotp({}));
    assert.equal(refused.reason, 'REAUTHENTICATION_REQUIRED');
  });

  it('C10 says nothing recent if the provider could say when, and has not been asked', async () => {
    const silent = await FakeProvider.start();
    silent.metadata = { claims_supported: ['sub', 'auth_time'] };
    const settings = silent.settings({ id: 'silent', display_name: 'Silent' });
    addProviders(service, [fake.settings(), settings]);
    const finish = async (reauthenticate: boolean) => {
      const request = { provider: 'silent', redirectUri: REDIRECT, reauthenticate };
      const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(request);
      const claims = { sub: newEmail(), email: newEmail(), email_verified: true };
      const answer = silent.visit(authorizationUrl, { claims });
      return service.auth.finishFederatedLogin({ ...answer, loginToken });
    };
    assert.equal((await refusal(finish(true))).reason, 'FEDERATED_LOGIN_REFUSED');
    const { outcome } = await finish(false);
    assert.ok(outcome.case === 'tokens');
    const refused = await refusal(accountOf(service, outcome.value).beginTotpEnrollment({}));
    assert.equal(refused.reason, 'REAUTHENTICATION_REQUIRED');
  });

  it('is verified by a key that was made after the keys were fetched, with one token request', async () => {
    await login({});
    await fake.rotateKey();
    const before = { ...fake.requests };
    assert.equal((await login({})).outcome.case, 'tokens');
    assert.equal(fake.requests.token - before.token, 1);
    assert.equal(fake.requests.keys - before.keys, 1);
    assert.equal((await login({})).outcome.case, 'tokens');
    assert.equal(fake.requests.keys - before.keys, 1);
  });

  it('F01 is refused if userinfo speaks of someone else', async () => {
    const other = await FakeProvider.start();
    other.userInfo = { sub: 'someone else', email: newEmail(), email_verified: true };
    const service = await startFederatedService([other.settings()]);
    const start = { provider: 'fake', redirectUri: REDIRECT };
    const { authorizationUrl, loginToken } = await service.auth.startFederatedLogin(start);
    const answer = other.visit(authorizationUrl, { claims: { sub: 'someone' } });
    const refused = await refusal(service.auth.finishFederatedLogin({ ...answer, loginToken }));
    assert.equal(refused.reason, 'FEDERATED_LOGIN_REFUSED');
  });
});
