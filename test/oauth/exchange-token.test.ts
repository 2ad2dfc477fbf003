import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import * as client from 'openid-client';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { newKey } from '../api-keys/keys.ts';
import { Forger } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { claimsOf, type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { verifierOf } from '../verifier/verifiers.ts';
import { basic, post } from './asking.ts';
import { type Acting, AUDIENCES, acting, ORDERS, PAYMENTS } from './delegation.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

let service: Service;
let own: string;
let pat: Person;
let gateway: Acting;
let orders: Acting;

before(async () => {
  service = await startService({ env: { ...AUDIENCES, COUNTERSIGN_ISSUER: '' } });
  own = service.app.publicUrl;
  pat = await person(service, 'user', 'admin');
  gateway = await acting(service, pat, ['users.read', 'audit.read']);
  orders = await acting(service, pat, ['users.read']);
});

const introspect = async (token: string) =>
  (await post(service, '/oauth2/introspect', { token })).body;

describe('ExchangeToken', () => {
  it('A09 returns a token for one audience, with what the user and the service both have', async () => {
    const token = await gateway.exchange(pat.accessToken);
    const { iat, exp, jti, auth_time, act, ...claims } = claimsOf(token);
    assert.deepEqual(claims, {
      ...{ iss: own, aud: ORDERS, sub: pat.userId, sid: pat.sessionId },
      ...{ scope: 'audit.read users.read', client_id: gateway.keyId },
      ...{ owner_roles: ['user', 'admin'], token_version: 0, email_verified: true },
      ...{ amr: ['pwd'], acr: 'aal1' },
    });
    assert.deepEqual(act, {
      ...{ sub: gateway.robot, sub_type: 'service_account', api_key_id: gateway.keyId },
      ...{ token_version: 0, owner_roles: ['admin'] },
    });
    assert.equal(Number(exp) - Number(iat), 300);
    const narrow = await gateway.exchange(pat.accessToken, { scopes: ['audit.read'] });
    assert.equal(claimsOf(narrow)['scope'], 'audit.read');
    assert.ok(jti && auth_time);
  });

  it('A09 keeps the chain through hops, and introspection tells it', async () => {
    const first = await gateway.exchange(pat.accessToken);
    const second = await orders.exchange(first, { audience: PAYMENTS });
    const inner = { sub: gateway.robot, client_id: gateway.keyId };
    const told = await introspect(second);
    assert.deepEqual(
      [told['sub'], told['aud'], told['scope'], told['act']],
      [
        pat.userId,
        PAYMENTS,
        'users.read',
        { sub: orders.robot, client_id: orders.keyId, act: inner },
      ],
    );
    const { principal } = await service.sessions.introspectToken({ token: second });
    assert.deepEqual(
      principal?.actors.map(({ subject, apiKeyId }) => [subject, apiKeyId]),
      [
        [orders.robot, orders.keyId],
        [gateway.robot, gateway.keyId],
      ],
    );
    assert.deepEqual(principal?.roles, []);
  });

  it('E01 records who acts for whom, where and with what', async () => {
    const token = await orders.exchange(await gateway.exchange(pat.accessToken));
    const [event] = await sql(
      service.databaseUrl,
      `select actor, api_key_id, subject, details from audit_events
       where type = 'token.exchanged' and details->>'token_id' = $1`,
      [claimsOf(token)['jti']],
    );
    assert.deepEqual(event, {
      ...{ actor: orders.robot, api_key_id: orders.keyId, subject: pat.userId },
      details: {
        ...{ token_id: claimsOf(token)['jti'], audience: ORDERS, scopes: ['users.read'] },
        ...{ session_id: pat.sessionId, actors: [orders.robot, gateway.robot] },
      },
    });
  });

  it('exchanges the token of a key, and acts with the token of another', async () => {
    const { id, secret } = await newKey(service, pat, { scopes: ['users.read'] });
    const keys = service.client(ApiKeyService);
    const { accessToken: ofKey } = await keys.exchangeApiKey({ secret, audience: own });
    const token = await gateway.exchange(ofKey);
    assert.equal(claimsOf(token)['api_key_id'], id);
    assert.equal((await introspect(token))['active'], true);
    const { accessToken: actorToken } = await keys.exchangeApiKey({
      secret: orders.secret,
      audience: own,
    });
    const auth = service.client(AuthService, 'grpc', gateway.secret);
    const request = { subjectToken: pat.accessToken, audience: ORDERS, actorToken };
    const { accessToken } = await auth.exchangeToken(request);
    const act = claimsOf(accessToken)['act'] as Record<string, unknown>;
    assert.deepEqual([act['sub'], act['jti']], [orders.robot, claimsOf(actorToken)['jti']]);
    await post(service, '/oauth2/revoke', { token: actorToken });
    assert.equal((await introspect(accessToken))['active'], false);
  });

  it('A09 lets nobody act with a token that an account has sent to another service', async () => {
    const keys = service.client(ApiKeyService);
    const { accessToken: sent } = await keys.exchangeApiKey({
      ...{ secret: orders.secret, audience: 'https://gateway.test' },
    });
    const auth = service.client(AuthService, 'grpc', gateway.secret);
    const request = { subjectToken: pat.accessToken, audience: ORDERS, actorToken: sent };
    const refused = await refusal(auth.exchangeToken(request));
    assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['actor_token']]);
  });

  it('A09 lacks a claim that every version before needs, whatever its subject signed in with', async () => {
    const { id, secret } = await newKey(service, pat, { scopes: ['users.read'] });
    const keys = service.client(ApiKeyService);
    const ofKey = await keys.exchangeApiKey({ secret, audience: own });
    const [bySession, byKey] = [
      await gateway.exchange(pat.accessToken),
      await gateway.exchange(ofKey.accessToken),
    ];
    assert.equal(claimsOf(bySession)['roles'], undefined);
    assert.equal(claimsOf(byKey)['sub_type'], undefined);
    const verifier = verifierOf(service, { issuer: own, audience: ORDERS });
    const { type, apiKeyId, actors } = await verifier.verify(byKey);
    assert.deepEqual([type, apiKeyId, actors[0]?.subject], ['user', id, gateway.robot]);
    assert.equal((await introspect(byKey))['active'], true);
  });

  it('A09 never widens: audience, scope, time', async () => {
    const narrow = await gateway.exchange(pat.accessToken, { scopes: ['users.read'] });
    const bad: [string, object, string, string[]][] = [
      [pat.accessToken, { audience: 'https://other.test' }, 'INVALID_REQUEST', ['audience']],
      [narrow, { audience: own }, 'INVALID_REQUEST', ['audience']],
      [narrow, { scopes: ['audit.read'] }, 'SCOPE_MISSING', []],
      [pat.accessToken, { scopes: ['roles.write'] }, 'SCOPE_MISSING', []],
      [pat.accessToken, { scopes: ['users.read', 'nothing'] }, 'SCOPE_MISSING', []],
    ];
    for (const [token, request, reason, fields] of bad) {
      const refused = await refusal(gateway.exchange(token, request));
      assert.deepEqual([refused.reason, refused.fields], [reason, fields]);
    }
    const forger = await Forger.of(service);
    const soon = Number(forger.claims['iat']) + 60;
    const ending = await gateway.exchange(await forger.token({ exp: soon }));
    assert.equal(claimsOf(ending)['exp'], soon);
    assert.equal(claimsOf(await gateway.exchange(narrow))['exp'], claimsOf(narrow)['exp']);
    const expiresAt = { seconds: BigInt(soon) };
    const { secret } = await newKey(service, pat, {
      ...{ serviceAccountId: gateway.robot, scopes: ['tokens.exchange'], expiresAt },
    });
    const auth = service.client(AuthService, 'grpc', secret);
    const request = { subjectToken: pat.accessToken, audience: ORDERS };
    assert.equal(claimsOf((await auth.exchangeToken(request)).accessToken)['exp'], soon);
  });

  it('A09 lets four services act, and no fifth', async () => {
    let token = pat.accessToken;
    for (let i = 0; i < 4; i += 1) token = await gateway.exchange(token);
    assert.equal((await introspect(token))['active'], true);
    const refused = await refusal(gateway.exchange(token));
    assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['subject_token']]);
    const forger = await Forger.of(service);
    const { act, owner_roles, scope } = claimsOf(token);
    const deeper = { ...(act as object), act };
    const forged = (claim: unknown) =>
      forger.token({ roles: undefined, owner_roles, scope, act: claim });
    assert.equal((await introspect(await forged(act)))['active'], true);
    for (const bad of [deeper, {}, [], 'x', null, { sub: 'x' }, { ...(act as object), act: {} }]) {
      assert.equal((await introspect(await forged(bad)))['active'], false);
    }
  });

  it('A09 lets only service accounts act that hold tokens.exchange, and nobody at second hand', async () => {
    const token = await gateway.exchange(pat.accessToken, { audience: own });
    const userKey = await newKey(service, pat, { scopes: ['tokens.exchange'] });
    const weak = await newKey(service, pat, {
      ...{ serviceAccountId: gateway.robot, scopes: ['users.read'] },
    });
    const credentials = [token, userKey.secret, weak.secret, pat.accessToken];
    for (const credential of credentials) {
      const auth = service.client(AuthService, 'grpc', credential);
      const request = { subjectToken: pat.accessToken, audience: ORDERS };
      const { code, metadata } = await refusal(auth.exchangeToken(request));
      assert.equal(code, Code.PermissionDenied);
      assert.deepEqual(metadata, { permission: 'tokens.exchange' });
    }
    const auth = service.client(AuthService, 'grpc', gateway.secret);
    const request = {
      subjectToken: pat.accessToken,
      audience: ORDERS,
      actorToken: pat.accessToken,
    };
    assert.equal((await refusal(auth.exchangeToken(request))).reason, 'PERMISSION_DENIED');
  });

  it('A07 says of a bad token no more than that it is one', async () => {
    const ended = await person(service);
    await service.auth.logout({ refreshToken: ended.refreshToken });
    const forger = await Forger.of(service);
    const bad = [
      ...['x', ended.accessToken, ended.refreshToken, gateway.secret],
      await forger.token({ iss: 'https://other.test' }),
      await forger.token({ exp: 1 }),
      await forger.token({}, { typ: 'JWT' }),
    ];
    for (const subjectToken of bad) {
      const refused = await refusal(gateway.exchange(subjectToken));
      assert.deepEqual(
        [refused.code, refused.reason, refused.fields],
        [Code.InvalidArgument, 'INVALID_REQUEST', ['subject_token']],
      );
    }
  });
});

describe('POST /oauth2/token with a token exchange', () => {
  const ask = (form: Record<string, string>, secret = gateway.secret, id = gateway.robot) =>
    post(
      service,
      '/oauth2/token',
      { grant_type: GRANT, subject_token_type: ACCESS_TOKEN, audience: ORDERS, ...form },
      basic(id, secret),
    );

  it('A09 is what openid-client asks', async () => {
    const url = new URL(own);
    const auth = client.ClientSecretBasic(gateway.secret);
    const execute = [client.allowInsecureRequests];
    const config = await client.discovery(url, gateway.robot, {}, auth, { execute });
    const tokens = await client.genericGrantRequest(config, GRANT, {
      ...{ subject_token: pat.accessToken, subject_token_type: ACCESS_TOKEN },
      ...{ audience: ORDERS, scope: 'users.read' },
    });
    assert.equal(tokens['issued_token_type'], ACCESS_TOKEN);
    assert.deepEqual([tokens.scope, tokens.token_type], ['users.read', 'bearer']);
    assert.ok((tokens.expires_in ?? 0) > 290 && (tokens.expires_in ?? 0) <= 300);
    const told = await introspect(tokens.access_token);
    assert.equal((told['act'] as Record<string, unknown>)['sub'], gateway.robot);
    assert.equal(claimsOf(tokens.access_token)['client_id'], gateway.robot);
  });

  it('refuses in the terms of RFC 8693', async () => {
    const subject_token = pat.accessToken;
    const jwt = 'urn:ietf:params:oauth:token-type:jwt';
    assert.equal((await ask({ subject_token, subject_token_type: jwt })).status, 200);
    const userKey = await newKey(service, pat, { scopes: ['tokens.exchange'] });
    const bad: [Record<string, string>, string, string, string][] = [
      [{}, gateway.secret, gateway.robot, 'invalid_request'],
      [{ subject_token: 'x' }, gateway.secret, gateway.robot, 'invalid_request'],
      [{ subject_token, subject_token_type: '' }, gateway.secret, gateway.robot, 'invalid_request'],
      [
        { subject_token, subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' },
        ...([gateway.secret, gateway.robot, 'invalid_request'] as const),
      ],
      [{ subject_token, audience: '' }, gateway.secret, gateway.robot, 'invalid_request'],
      [{ subject_token, actor_token: 'x' }, gateway.secret, gateway.robot, 'invalid_request'],
      [
        { subject_token, requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
        ...([gateway.secret, gateway.robot, 'invalid_request'] as const),
      ],
      [
        { subject_token, audience: 'https://x.test' },
        gateway.secret,
        gateway.robot,
        'invalid_target',
      ],
      [{ subject_token, scope: 'roles.write' }, gateway.secret, gateway.robot, 'invalid_scope'],
      [{ subject_token }, userKey.secret, userKey.id, 'unauthorized_client'],
    ];
    for (const [form, secret, id, error] of bad) {
      const { status, body } = await ask(form, secret, id);
      assert.deepEqual([status, body['error']], [400, error]);
    }
    assert.equal((await ask({ subject_token }, 'csk_x')).body['error'], 'invalid_client');
  });
});
