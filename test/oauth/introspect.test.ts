import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { keysOf, newKey, newRobot } from '../api-keys/keys.ts';
import { logLines } from '../harness/logs.ts';
import { claimsOf, type Person, person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer } from '../mesh/asking.ts';
import { basic, post } from './asking.ts';

const PATH = '/oauth2/introspect';

let service: Service;
let pat: Person;
let asker: { id: string; secret: string };

before(async () => {
  // The issuer is where the endpoints are, as clients that discover them demand.
  service = await startService({
    env: { COUNTERSIGN_ISSUER: '', COUNTERSIGN_TRUSTED_CALLERS: '' },
  });
  pat = await person(service, 'user', 'admin');
  asker = await newKey(service, pat, { scopes: ['tokens.introspect'] });
});

const introspect = (
  token: string,
  headers: Record<string, string> = basic(asker.id, asker.secret),
) => post(service, PATH, { token }, headers);

describe('POST /oauth2/introspect', () => {
  it('says whose an access token is, and what it allows now', async () => {
    const { status, headers, body } = await introspect(pat.accessToken);
    const { iat, exp, jti, aud, iss, scope } = claimsOf(pat.accessToken);
    assert.equal(status, 200);
    assert.deepEqual(body, {
      ...{ active: true, scope, client_id: 'countersign', token_type: 'Bearer' },
      ...{ iss, sub: pat.userId, aud, exp, iat, jti },
    });
    assert.equal(headers.get('content-type'), 'application/json');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('pragma'), 'no-cache');
    assert.match(headers.get('x-request-id') ?? '', /^[\w-]{36}$/);
  });

  it('says whose an API key is', async () => {
    const robot = await newRobot(service, 'auditor');
    const { id, secret } = await newKey(service, pat, {
      serviceAccountId: robot,
      scopes: ['audit.read'],
    });
    const { body } = await introspect(secret);
    const { iss } = claimsOf(pat.accessToken);
    assert.deepEqual(body, {
      ...{ active: true, scope: 'audit.read', client_id: id, token_type: 'Bearer' },
      ...{ iss, sub: robot },
    });
  });

  it('A07 says nothing but inactive about anything else', async () => {
    const ended = await person(service);
    await service.auth.logout({ refreshToken: ended.refreshToken });
    const revoked = await newKey(service, pat);
    await keysOf(service, pat).revokeApiKey({ apiKeyId: revoked.id });
    const elsewhere = await newKey(service, pat, { allowedCidrs: ['127.0.0.1'] });
    const others = [ended.accessToken, ended.refreshToken, revoked.secret, elsewhere.secret];
    for (const token of [...others, `csk_${'0'.repeat(60)}`, 'x', `${pat.accessToken}x`]) {
      const { status, body } = await introspect(token);
      assert.deepEqual([status, body], [200, { active: false }]);
    }
  });

  it('A07 takes Basic, a secret in the form, a bearer token or key, and refuses all others', async () => {
    const token = pat.accessToken;
    const good: [Record<string, string>, Record<string, string>][] = [
      [{}, bearer(asker.secret)],
      [{}, bearer(pat.accessToken)],
      [{}, { 'x-api-key': asker.secret }],
      [{ client_id: asker.id, client_secret: asker.secret }, {}],
      [{ client_id: asker.id }, basic(asker.id, asker.secret)],
    ];
    for (const [form, headers] of good) {
      const { body } = await post(service, PATH, { token, ...form }, headers);
      assert.equal(body['active'], true);
    }
    const nobody = await newKey(service, pat, { scopes: [] });
    const bad: [Record<string, string>, Record<string, string>, number, string][] = [
      [{}, {}, 401, 'invalid_client'],
      [{}, basic(asker.id, 'csk_x'), 401, 'invalid_client'],
      [{}, basic(nobody.id, asker.secret), 401, 'invalid_client'],
      [{}, basic('', asker.secret), 401, 'invalid_client'],
      [{}, { authorization: 'Basic !' }, 401, 'invalid_client'],
      [{}, bearer('x'), 401, 'invalid_client'],
      [{ client_secret: asker.secret }, {}, 401, 'invalid_client'],
      [{ client_id: asker.id }, {}, 401, 'invalid_client'],
      [{}, bearer(nobody.secret), 403, 'insufficient_scope'],
      [{ client_secret: 'x' }, bearer(asker.secret), 400, 'invalid_request'],
      [{ client_id: nobody.id }, basic(asker.id, asker.secret), 400, 'invalid_request'],
      [{}, { ...bearer(asker.secret), 'x-api-key': 'x' }, 400, 'invalid_request'],
    ];
    for (const [form, headers, status, error] of bad) {
      const told = await post(service, PATH, { token, ...form }, headers);
      assert.deepEqual([told.status, told.body['error']], [status, error]);
      assert.equal(told.headers.has('www-authenticate'), status !== 400);
      assert.equal('active' in told.body, false);
    }
  });

  it('answers trusted callers without a credential, and a bad credential stays bad', async () => {
    const trusting = await startReplica(service, {
      env: {
        COUNTERSIGN_ISSUER: service.app.publicUrl,
        COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1',
      },
    });
    const ask = (headers = {}) => post(trusting, PATH, { token: pat.accessToken }, headers);
    assert.equal((await ask()).body['sub'], pat.userId);
    assert.equal((await ask(bearer('x'))).status, 401);
    assert.equal((await ask({ 'x-forwarded-for': '127.0.0.1' })).status, 401);
    const form = { token: pat.accessToken, client_id: asker.id, client_secret: 'csk_x' };
    assert.equal((await post(trusting, PATH, form)).status, 401);
  });

  it('is what openid-client asks, by what it discovers', async () => {
    const { id, secret } = asker;
    const url = new URL(service.app.publicUrl);
    const execute = [client.allowInsecureRequests];
    for (const auth of [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]) {
      const config = await client.discovery(url, id, {}, auth, { execute });
      const told = await client.tokenIntrospection(config, pat.accessToken);
      assert.deepEqual([told.active, told.sub], [true, pat.userId]);
      assert.deepEqual(await client.tokenIntrospection(config, 'x'), { active: false });
    }
  });

  it('signs its answer for the one who asked, if that is what they accept', async () => {
    const accept = 'application/token-introspection+jwt';
    const keys = createRemoteJWKSet(new URL(`${service.app.publicUrl}/.well-known/jwks.json`));
    for (const token of [pat.accessToken, 'x']) {
      const { headers, body } = await introspect(token, {
        ...basic(asker.id, asker.secret),
        accept,
      });
      assert.equal(headers.get('content-type'), accept);
      const { payload } = await jwtVerify(String(body['text']), keys, {
        typ: 'token-introspection+jwt',
        issuer: service.app.publicUrl,
        audience: asker.id,
        currentDate: service.clock.now(),
      });
      assert.deepEqual(payload['token_introspection'], (await introspect(token)).body);
      // It can't pass for an access token.
      assert.deepEqual((await introspect(String(body['text']))).body, { active: false });
      assert.equal(payload.sub ?? payload.exp, undefined);
    }
  });

  it('A03 says of a key over its limit that it should be asked again later', async () => {
    const rateLimit = { requests: 1, per: { seconds: 60n } };
    const { secret } = await newKey(service, pat, { rateLimit });
    assert.equal((await introspect(secret)).body['active'], true);
    const { status, headers, body } = await introspect(secret);
    assert.deepEqual([status, body['error']], [429, 'temporarily_unavailable']);
    assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  });

  it('W09 logs who asked, and nothing of what was sent', async () => {
    const headers = { ...basic(asker.id, asker.secret), 'x-request-id': 'asked-about-pat' };
    const lines = await logLines(() => introspect(pat.accessToken, headers));
    const [line, ...others] = lines.filter((each) => each['request_id'] === 'asked-about-pat');
    assert.deepEqual([line?.['method'], line?.['principal'], others], [PATH, pat.userId, []]);
    const text = JSON.stringify(lines);
    assert.equal(text.includes(pat.accessToken) || text.includes(asker.secret), false);
  });
});
