import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { keysOf, newKey, newRobot } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, isActive, type Person, person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { basic, post } from './asking.ts';

const PATH = '/oauth2/token';
const ORDERS = 'https://orders.test';

let service: Service;
let pat: Person;
let robot: string;
let key: { id: string; secret: string };

before(async () => {
  service = await startService({ env: { COUNTERSIGN_ISSUER: '' } });
  pat = await person(service, 'user', 'admin');
  robot = await newRobot(service, 'auditor');
  const scopes = ['audit.read', 'users.read'];
  key = await newKey(service, pat, { serviceAccountId: robot, scopes });
});

const ask = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  post(service, PATH, { grant_type: 'client_credentials', ...form }, headers);
const withKey = (form: Record<string, string> = {}) => ask(form, basic(key.id, key.secret));

describe('POST /oauth2/token with client_credentials', () => {
  it('A01 issues a token for what the key allows, to its id or its service account', async () => {
    const { id, secret } = key;
    const asked = [
      ask({}, basic(id, secret)),
      ask({}, basic(robot, secret)),
      ask({}, basic(id.toUpperCase(), secret)),
      ask({ client_id: id, client_secret: secret }),
      ask({ client_id: robot, client_secret: secret }),
    ];
    for (const { status, headers, body } of await Promise.all(asked)) {
      const { access_token: token, ...rest } = body;
      assert.equal(status, 200);
      assert.equal(headers.get('cache-control'), 'no-store');
      assert.deepEqual(rest, {
        ...{ token_type: 'Bearer', scope: 'audit.read users.read' },
        expires_in: rest['expires_in'],
      });
      assert.ok(Number(rest['expires_in']) > 590 && Number(rest['expires_in']) <= 600);
      const claims = claimsOf(String(token));
      assert.deepEqual(
        [claims['sub'], claims['api_key_id'], claims['aud'], claims['sid']],
        [robot, id, service.app.publicUrl, undefined],
      );
      assert.ok(claims['client_id'] === id || claims['client_id'] === robot);
      assert.equal(await isActive(service, String(token)), true);
    }
  });

  it('narrows scope and audience as asked', async () => {
    const { body } = await withKey({ scope: ' audit.read  audit.read ', audience: ORDERS });
    assert.equal(body['scope'], 'audit.read');
    const { scope, aud } = claimsOf(String(body['access_token']));
    assert.deepEqual([scope, aud], ['audit.read', ORDERS]);
    for (const form of [{ resource: ORDERS }, { resource: ORDERS, audience: ORDERS }]) {
      const { body: told } = await withKey(form);
      assert.equal(claimsOf(String(told['access_token']))['aud'], ORDERS);
    }
  });

  it('A01 refuses what the key does not allow, and what it cannot read', async () => {
    const bad: [Record<string, string>, string][] = [
      [{ scope: 'audit.read roles.write' }, 'invalid_scope'],
      [{ scope: 'audit.read "' }, 'invalid_scope'],
      [{ scope: 'x'.repeat(201) }, 'invalid_scope'],
      [{ scope: Array.from({ length: 101 }, (_, i) => `s${i}`).join(' ') }, 'invalid_scope'],
      [{ resource: 'orders' }, 'invalid_target'],
      [{ resource: '/orders' }, 'invalid_target'],
      [{ resource: `${ORDERS}/#x` }, 'invalid_target'],
      [{ resource: ORDERS, audience: 'https://other.test' }, 'invalid_target'],
      [{ audience: 'x'.repeat(2001) }, 'invalid_target'],
      [{ audience: 'x\0' }, 'invalid_target'],
      [{ audience: '\u0001'.repeat(1300) }, 'invalid_request'],
      [{ grant_type: 'password', username: 'x', password: 'y' }, 'unsupported_grant_type'],
      [{ grant_type: 'authorization_code', code: 'x' }, 'unsupported_grant_type'],
      [{ grant_type: 'refresh_token', refresh_token: 'x' }, 'unsupported_grant_type'],
      [{ grant_type: 'Client_credentials' }, 'unsupported_grant_type'],
      [{ grant_type: '' }, 'invalid_request'],
    ];
    for (const [form, error] of bad) {
      const { status, body } = await withKey(form);
      assert.deepEqual([status, body['error']], [400, error], JSON.stringify(form).slice(0, 100));
    }
  });

  it('A02 refuses everyone else: no credential, another id, a token, a key that has ended', async () => {
    const other = await newKey(service, pat);
    const token = String((await withKey()).body['access_token']);
    const shown = [
      {},
      basic(other.id, key.secret),
      basic(pat.userId, other.secret),
      basic(key.id, 'csk_x'),
      basic(key.id, token),
      { authorization: `Bearer ${token}` },
      { authorization: `Bearer ${key.secret}` },
      { authorization: 'Basic' },
    ];
    for (const headers of shown) {
      const { status, body } = await ask({}, headers as Record<string, string>);
      assert.deepEqual([status, body['error']], [401, 'invalid_client'], JSON.stringify(headers));
    }
    await keysOf(service, pat).revokeApiKey({ apiKeyId: other.id });
    assert.equal((await ask({}, basic(other.id, other.secret))).status, 401);
  });

  it('S09 issues tokens that end with the key', async () => {
    const { id, secret } = await newKey(service, pat);
    const { body } = await ask({}, basic(id, secret));
    assert.equal(await isActive(service, String(body['access_token'])), true);
    await keysOf(service, pat).revokeApiKey({ apiKeyId: id });
    assert.equal(await isActive(service, String(body['access_token'])), false);
  });

  it('counts a call as one use of the key', async () => {
    const rateLimit = { requests: 2, per: { seconds: 60n } };
    const { id, secret } = await newKey(service, pat, { rateLimit });
    for (const status of [200, 200, 429]) {
      assert.equal((await ask({}, basic(id, secret))).status, status);
    }
  });

  it('is what openid-client asks, and jose verifies what it gets', async () => {
    const url = new URL(service.app.publicUrl);
    const execute = [client.allowInsecureRequests];
    const auths = [client.ClientSecretBasic(key.secret), client.ClientSecretPost(key.secret)];
    for (const auth of auths) {
      const config = await client.discovery(url, key.id, {}, auth, { execute });
      const wanted = { scope: 'audit.read', resource: ORDERS };
      const tokens = await client.clientCredentialsGrant(config, wanted);
      assert.equal(tokens.scope, 'audit.read');
      assert.equal(tokens.refresh_token, undefined);
      const jwks = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri ?? ''));
      const { payload } = await jwtVerify(tokens.access_token, jwks, {
        ...{ typ: 'at+jwt', issuer: service.app.publicUrl, audience: ORDERS },
        currentDate: service.clock.now(),
      });
      assert.equal(payload.sub, robot);
    }
  });

  it('W10 limits calls by address, like ExchangeApiKey', async () => {
    const limited = await startService({ env: { COUNTERSIGN_RATE_LIMITS: 'on' } });
    const call = () => post(limited, PATH, { grant_type: 'client_credentials' });
    await eventually(async () => {
      const told = await Promise.all(Array.from({ length: 50 }, call));
      return told.some(({ status, headers }) => status === 429 && headers.has('retry-after'));
    });
  });
});
