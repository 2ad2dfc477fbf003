import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import {
  IntrospectionReason,
  IntrospectTokenResponseSchema,
  SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { Forger, jws } from '../forge.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { createAccount, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const ISSUER = 'https://issuer.test';

/** A person with the role `admin`, and so with the permission to introspect. */
async function admin(service: Service): Promise<Tokens & { email: string }> {
  const email = await createAccount(service);
  await sql(service.databaseUrl, `update accounts set roles = '{user,admin}' where email = $1`, [
    email,
  ]);
  return { ...(await signIn(service, email)), email };
}

describe('IntrospectToken', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const introspect = (request: Parameters<Service['sessions']['introspectToken']>[0]) =>
    service.sessions.introspectToken(request);

  for (const protocol of PROTOCOLS) {
    it(`says by ${protocol} whose a valid token is`, async () => {
      const { accessToken, sessionId, email, expiresAt } = await signedIn(service);
      const [account] = await sql<{ id: string }>(
        service.databaseUrl,
        'select id from accounts where email = $1',
        [email],
      );
      const client = service.client(SessionService, protocol);
      const answer = await client.introspectToken({ token: accessToken });
      assert.equal(answer.active, true);
      assert.equal(answer.reason, IntrospectionReason.UNSPECIFIED);
      assert.deepEqual(answer.expiresAt, expiresAt);
      const { $typeName: _, authTime, ...principal } = { ...answer.principal };
      assert.deepEqual(principal, {
        type: 1,
        subject: account?.id,
        sessionId,
        apiKeyId: '',
        actors: [],
        emailVerified: true,
        roles: ['user'],
        permissions: [],
        scopes: [],
        amr: ['pwd'],
        identityProvider: '',
      });
      const now = service.clock.now().getTime() / 1000;
      assert.ok(Math.abs(Number(authTime?.seconds) - now) <= 5);
    });
  }

  it('A07 says no more than INACTIVE about an invalid token, whatever the request asks', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    const ended = await signedIn(service);
    await service.auth.logout({ refreshToken: ended.refreshToken });
    const deleted = await signedIn(service);
    await service.client(AccountService, 'grpc', deleted.accessToken).deleteMe({});
    const forger = await Forger.of(service);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const tokens = {
      nothing: '',
      garbage: 'garbage',
      'a refresh token': refreshToken,
      'an altered token': `${accessToken.slice(0, -4)}AAAA`,
      'a token that nobody signed': jws({ ...forger.header, alg: 'none' }, forger.claims, 'x'),
      'a token of another key': await forger.token({}, {}, privateKey),
      'a token of a key that nobody knows': await forger.token({}, { kid: 'none' }),
      'a token of another issuer': await forger.token({ iss: 'https://other.test' }),
      'an expired token': await forger.token({ iat: 1, exp: 2 }),
      'a token from the future': await forger.token({ iat: 253_402_300_000 }),
      'a token of an ended session': ended.accessToken,
      'a token of a deleted account': deleted.accessToken,
      'a long text': 'x'.repeat(60_000),
    };
    const inactive = create(IntrospectTokenResponseSchema, {
      reason: IntrospectionReason.INACTIVE,
    });
    const asked = { requiredScopes: ['users.read'], requiredPermissions: ['x'], audience: 'y' };
    for (const [what, token] of Object.entries(tokens)) {
      for (const protocol of PROTOCOLS) {
        const client = service.client(SessionService, protocol);
        assert.deepEqual(await client.introspectToken({ token }), inactive, what);
        assert.deepEqual(await client.introspectToken({ token, ...asked }), inactive, what);
        const requests = [{ token }, { token, ...asked }].filter(() => token.length < 20_000);
        if (requests.length === 0) continue;
        const { responses } = await client.batchIntrospectTokens({ requests });
        assert.deepEqual(responses, [inactive, inactive], what);
      }
    }
  });

  it('checks all scopes and all permissions that are required', async () => {
    const { accessToken: token } = await admin(service);
    const held = {
      requiredScopes: ['users.read', 'audit.read'],
      requiredPermissions: ['users.write'],
    };
    assert.equal((await introspect({ token, ...held })).active, true);
    const scope = await introspect({ token, requiredScopes: ['users.read', 'orders.read'] });
    assert.deepEqual([scope.active, scope.reason], [false, IntrospectionReason.SCOPE_MISSING]);
    assert.ok(scope.principal?.subject);
    const permission = await introspect({ token, requiredPermissions: ['orders.read'] });
    assert.deepEqual(
      [permission.active, permission.reason],
      [false, IntrospectionReason.PERMISSION_MISSING],
    );
    const part = await introspect({ token, requiredScopes: ['users', 'users.read '] });
    assert.equal(part.reason, IntrospectionReason.SCOPE_MISSING);
  });

  it('says INACTIVE for an audience other than the token’s', async () => {
    const { accessToken: token } = await signedIn(service);
    assert.equal((await introspect({ token, audience: ISSUER })).active, true);
    for (const audience of ['https://other.test', `${ISSUER}/`, 'https://issuer']) {
      const { $typeName: _, ...answer } = await introspect({ token, audience });
      assert.deepEqual(answer, { active: false, reason: IntrospectionReason.INACTIVE });
    }
  });

  it('accepts a token for another audience, unless the request names one that it lacks', async () => {
    const forger = await Forger.of(service);
    const token = await forger.token({ aud: ['https://api.test', 'https://b.test'] });
    assert.equal((await introspect({ token })).active, true);
    assert.equal((await introspect({ token, audience: 'https://api.test' })).active, true);
    assert.equal((await introspect({ token, audience: ISSUER })).active, false);
  });

  it('says INACTIVE from the second at which the token expires', async () => {
    const { accessToken: token, expiresAt } = await signedIn(service);
    const left = Number(expiresAt?.seconds) * 1000 - service.clock.now().getTime();
    service.clock.advance(left - 1000);
    assert.equal((await introspect({ token })).active, true);
    service.clock.advance(1000);
    assert.equal((await introspect({ token })).active, false);
    assert.equal((await introspect({ token })).principal, undefined);
  });

  it('names the fields that break their rules', async () => {
    const many = Array(101).fill('users.read');
    const refused = await refusal(introspect({ token: '', requiredScopes: many }));
    assert.deepEqual(refused.fields, ['required_scopes']);
    const empty = await refusal(introspect({ token: '', requiredPermissions: ['a', ''] }));
    assert.deepEqual(empty.fields, ['required_permissions[1]']);
  });
});

describe('IntrospectToken, its callers', () => {
  let service: Service;
  let trusting: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
    trusting = await startReplica(service, { env: { COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.0/8' } });
  });

  const introspectAs = (accessToken: string | undefined, token: string, at = service) =>
    at.client(SessionService, 'grpc', accessToken).introspectToken({ token });

  it('A07 need a credential if their network is not declared trusted', async () => {
    const { accessToken } = await signedIn(service);
    const refused = await refusal(introspectAs(undefined, accessToken));
    assert.equal(refused.code, Code.Unauthenticated);
    assert.equal(refused.reason, 'CREDENTIALS_MISSING');
    for (const protocol of PROTOCOLS) {
      const client = service.client(SessionService, protocol);
      for (const token of [accessToken, 'garbage']) {
        const one = await refusal(client.introspectToken({ token }));
        const batch = await refusal(client.batchIntrospectTokens({ requests: [{ token }] }));
        assert.deepEqual([one.reason, batch.reason], Array(2).fill('CREDENTIALS_MISSING'));
      }
      const trusted = trusting.client(SessionService, protocol);
      assert.equal((await trusted.introspectToken({ token: accessToken })).active, true);
    }
  });

  it('A07 need the permission, even to ask about their own token', async () => {
    const { accessToken } = await signedIn(service);
    for (const at of [service, trusting]) {
      const refused = await refusal(introspectAs(accessToken, accessToken, at));
      assert.equal(refused.code, Code.PermissionDenied);
      assert.equal(refused.reason, 'PERMISSION_DENIED');
      assert.deepEqual(refused.metadata, { permission: 'tokens.introspect' });
    }
  });

  it('A07 may ask with the permission, but not after it was taken away', async () => {
    const asking = await admin(service);
    const { accessToken } = await signedIn(service);
    assert.equal((await introspectAs(asking.accessToken, accessToken)).active, true);
    const { responses } = await service
      .client(SessionService, 'grpc', asking.accessToken)
      .batchIntrospectTokens({ requests: [{ token: accessToken }] });
    assert.equal(responses[0]?.active, true);
    await sql(service.databaseUrl, `update accounts set roles = '{user}' where email = $1`, [
      asking.email,
    ]);
    const { tokens } = await service.auth.refreshToken({ refreshToken: asking.refreshToken });
    const refused = await refusal(introspectAs(tokens?.accessToken, accessToken));
    assert.deepEqual(refused.metadata, { permission: 'tokens.introspect' });
    await service.auth.logout({ refreshToken: tokens?.refreshToken ?? '' });
    const ended = await refusal(introspectAs(asking.accessToken, accessToken));
    assert.equal(ended.reason, 'TOKEN_REVOKED');
  });

  it('A07 are not trusted for their network with a bad credential', async () => {
    const refused = await refusal(introspectAs('a.b.c', 'x', trusting));
    assert.equal(refused.reason, 'TOKEN_INVALID');
  });

  it('A07 are not trusted for a network that a header names', async () => {
    const headers = { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' };
    const untrusted = await refusal(service.sessions.introspectToken({ token: '' }, { headers }));
    assert.equal(untrusted.reason, 'CREDENTIALS_MISSING');
    const proxied = await refusal(trusting.sessions.introspectToken({ token: '' }, { headers }));
    assert.equal(proxied.reason, 'CREDENTIALS_MISSING');
  });
});
