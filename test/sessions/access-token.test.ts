import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { Forger, judge } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { newEmail, PASSWORD, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const ISSUER = 'https://issuer.test';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('The access token', () => {
  let service: Service;
  let forger: Forger;

  before(async () => {
    service = await startService();
    forger = await Forger.of(service);
  });

  const now = () => Math.floor(service.clock.now().getTime() / 1000);

  it('is what RFC 9068 describes, and verifies by the published keys', async () => {
    const { accessToken, sessionId, email } = await signedIn(service);
    const keys = createRemoteJWKSet(
      new URL(`http://${service.app.httpAddress}/.well-known/jwks.json`),
    );
    const { payload, protectedHeader } = await jwtVerify(accessToken, keys, {
      issuer: ISSUER,
      audience: ISSUER,
      typ: 'at+jwt',
    });
    assert.deepEqual(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ']);
    const [account] = await sql<{ id: string }>(
      service.databaseUrl,
      'select id from accounts where email = $1',
      [email],
    );
    const { sub, jti, iat, exp, auth_time, ...rest } = payload;
    assert.equal(sub, account?.id);
    assert.match(`${sub}`, UUID);
    assert.match(`${jti}`, UUID);
    assert.equal(Number(exp) - Number(iat), 600);
    assert.ok(Math.abs(Number(iat) - now()) <= 5);
    assert.ok(Math.abs(Number(auth_time) - now()) <= 5);
    assert.deepEqual(rest, {
      token_version: 0,
      iss: ISSUER,
      aud: ISSUER,
      client_id: 'countersign',
      scope: '',
      sid: sessionId,
      roles: ['user'],
      amr: ['pwd'],
      acr: 'aal1',
      email_verified: true,
    });
  });

  it('carries the permissions of the roles as its scope', async () => {
    const { email, refreshToken } = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set roles = '{admin}' where email = $1`, [
      email,
    ]);
    const { tokens } = await service.auth.refreshToken({ refreshToken });
    const answer = await service.sessions.introspectToken({ token: tokens?.accessToken ?? '' });
    assert.ok(answer.principal?.scopes.includes('tokens.introspect'));
    assert.deepEqual(answer.principal?.scopes, answer.principal?.permissions);
  });

  it('S01 opens a method that asks for a sign-in', async () => {
    assert.equal(await judge(service, await forger.token()), 'accepted');
    assert.equal(await judge(service, await forger.token({}, { typ: 'AT+JWT' })), 'accepted');
    const full = await forger.token({}, { typ: 'application/at+jwt' });
    assert.equal(await judge(service, full), 'accepted');
  });

  it('S01 is not a refresh token or a mailed one', async () => {
    const { refreshToken } = await signedIn(service);
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: '' });
    const mailed = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    assert.equal(await judge(service, refreshToken), 'TOKEN_INVALID');
    assert.equal(await judge(service, mailed), 'TOKEN_INVALID');
  });

  for (const typ of [
    'JWT',
    'jwt',
    'id+jwt',
    'at+jwt2',
    '',
    'application/jwt',
    null,
    7,
    undefined,
  ]) {
    it(`S01 is not accepted with the type ${JSON.stringify(typ)}`, async () => {
      assert.equal(await judge(service, await forger.token({}, { typ })), 'TOKEN_INVALID');
    });
  }

  it('S01 is not accepted from another issuer', async () => {
    for (const iss of ['https://other.test', `${ISSUER}/`, 'https://issuer.test.evil', [ISSUER]]) {
      assert.equal(await judge(service, await forger.token({ iss })), 'TOKEN_INVALID');
    }
  });

  it('S01 is not accepted for another audience at our own methods', async () => {
    const token = await forger.token({ aud: 'https://other.test' });
    const asCredential = service.client(SessionService, 'grpc', token);
    const refused = await refusal(asCredential.introspectToken({ token: '' }));
    assert.equal(refused.code, Code.Unauthenticated);
    assert.equal(refused.reason, 'TOKEN_INVALID');
    const both = await forger.token({ aud: ['https://other.test', ISSUER] });
    assert.equal(await judge(service, both), 'accepted');
  });

  it('S01 is not accepted once it has expired, to the second', async () => {
    const token = await forger.token({ iat: now(), exp: now() + 60 });
    assert.equal(await judge(service, token), 'accepted');
    service.clock.advance(61_000);
    assert.equal(await judge(service, token), 'TOKEN_EXPIRED');
    const never = await forger.token({ iat: now() - 900, exp: now() - 300 });
    assert.equal(await judge(service, never), 'TOKEN_EXPIRED');
  });

  it('S01 is not accepted from further in the future than clocks differ', async () => {
    const times = { exp: now() + 600 };
    for (const claim of ['nbf', 'iat']) {
      const early = await forger.token({ ...times, [claim]: now() + 30 });
      assert.equal(await judge(service, early), 'TOKEN_INVALID', claim);
      const soon = await forger.token({ ...times, [claim]: now() + 2 });
      assert.equal(await judge(service, soon), 'accepted', claim);
    }
  });

  it('S01 has one scheme and one token in its header', async () => {
    const token = await forger.token({ iat: now(), exp: now() + 600 });
    const call = (authorization: string) =>
      refusal(service.sessions.introspectToken({ token: '' }, { headers: { authorization } })).then(
        ({ reason }) => reason,
      );
    assert.equal(await call(`bearer ${token}`), 'PERMISSION_DENIED');
    assert.equal(await call(`Bearer   ${token}`), 'PERMISSION_DENIED');
    for (const header of [
      token,
      `Basic ${token}`,
      'Bearer',
      `Bearer ${token} ${token}`,
      'Bearer x',
    ]) {
      assert.equal(await call(header), 'TOKEN_INVALID', header.slice(0, 12));
    }
  });
});
