import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { HeaderValueOption_HeaderAppendAction as Append } from '../../gen/envoy/config/core/v3/base_pb.ts';
import {
  Authorization,
  CheckRequestSchema,
} from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Person, person, signIn, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { describeBothPaths } from '../rpc/unary-paths.ts';
import { bearer, check, checkRequest } from './asking.ts';

let base: Service;
let pat: Person;

before(async () => {
  base = await startService();
  pat = await person(base, 'user', 'admin');
});

const INVALID = 'Bearer error="invalid_token"';

describeBothPaths('Check', ({ env }) => {
  let service: Service;
  before(async () => {
    service = await startReplica(base, { env });
  });

  it('lets a request with an access token through, and names whom it speaks for', async () => {
    const { code, set, removed } = await check(service, { headers: bearer(pat.accessToken) });
    assert.equal(code, 0);
    assert.deepEqual(Object.keys(set), [
      'x-countersign-subject',
      'x-countersign-session',
      'x-countersign-scopes',
      'x-countersign-roles',
    ]);
    assert.equal(set['x-countersign-subject'], pat.userId);
    assert.equal(set['x-countersign-session'], pat.sessionId);
    assert.match(set['x-countersign-scopes'] ?? '', /(^| )users\.read( |$)/);
    assert.equal(set['x-countersign-roles'], 'user,admin');
    assert.deepEqual(removed.slice(0, 2), ['authorization', 'x-api-key']);
  });

  it('sends all four names in a way that overwrites, empty ones too', async () => {
    const { secret } = await newKey(base, pat, { scopes: [] });
    const client = service.client(Authorization);
    const { httpResponse } = await client.check(checkRequest({ headers: { 'x-api-key': secret } }));
    assert.equal(httpResponse.case, 'okResponse');
    const { headers } = httpResponse.value;
    assert.deepEqual(
      headers.map(({ header, appendAction, append, keepEmptyValue }) => [
        header?.value,
        appendAction,
        append,
        keepEmptyValue,
      ]),
      [pat.userId, '', '', ''].map((value) => [
        value,
        Append.OVERWRITE_IF_EXISTS_OR_ADD,
        undefined,
        true,
      ]),
    );
  });

  it('takes an API key by either header, and asks for its scopes', async () => {
    const { secret } = await newKey(base, pat, { scopes: ['users.read'] });
    for (const headers of [bearer(secret), { 'x-api-key': secret }]) {
      const settings = { required_scopes: 'users.read' };
      const { code, set } = await check(service, { headers, settings });
      assert.equal(code, 0);
      assert.equal(set['x-countersign-scopes'], 'users.read');
      const denied = await check(service, { headers, settings: { required_scopes: 'audit.read' } });
      assert.deepEqual([denied.code, denied.status], [7, 403]);
      assert.equal(
        denied.set['www-authenticate'],
        'Bearer error="insufficient_scope", scope="audit.read"',
      );
    }
  });

  it('refuses a request without a credential, and names none of its own headers', async () => {
    const headers = { 'x-countersign-subject': UNKNOWN_ID };
    const { code, status, set, body } = await check(service, { headers });
    assert.deepEqual([code, status], [16, 401]);
    assert.equal(set['www-authenticate'], 'Bearer');
    assert.deepEqual(Object.keys(set).sort(), ['content-type', 'www-authenticate']);
    assert.match(body ?? '', /^[\x20-\x7e]{10,200}$/);
  });

  it('A07 gives one answer for every credential that is not valid', async () => {
    const { secret, id } = await newKey(base, pat);
    await keysOf(base, pat).revokeApiKey({ apiKeyId: id });
    const elsewhere = await newKey(base, pat, { allowedCidrs: ['198.51.100.0/24'] });
    const bad = [
      bearer('garbage'),
      bearer(`${pat.accessToken.slice(0, -3)}abc`),
      bearer(secret),
      bearer(elsewhere.secret),
      { 'x-api-key': secret },
      { 'x-api-key': 'garbage' },
    ];
    const answers = await Promise.all(bad.map((headers) => check(service, { headers })));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.deepEqual([answers[0]?.code, answers[0]?.status], [16, 401]);
    assert.equal(answers[0]?.set['www-authenticate'], INVALID);
  });

  it('refuses more than one value of a credential, joined or apart', async () => {
    const { secret } = await newKey(base, pat);
    const token = `Bearer ${pat.accessToken}`;
    const requests = [
      { headers: { authorization: `${token},${token}` } },
      { headers: { authorization: `${token}, Bearer garbage` } },
      { headers: { 'x-api-key': `${secret},${secret}` } },
      { headers: { authorization: token, 'x-api-key': `${secret},x` } },
      {
        rawHeaders: [
          ['authorization', token],
          ['Authorization', token],
        ] as [string, string][],
      },
      {
        headers: { authorization: token },
        rawHeaders: [['authorization', token]] as [string, string][],
      },
    ];
    for (const request of requests) {
      const { code, status } = await check(service, request);
      assert.deepEqual([code, status], [16, 401]);
    }
  });

  it('does not make up for a bad token by a good key', async () => {
    const { secret } = await newKey(base, pat);
    for (const authorization of ['Bearer garbage', 'Basic dXNlcjpwYXNz', '', 'Bearer ']) {
      const { code } = await check(service, { headers: { authorization, 'x-api-key': secret } });
      assert.equal(code, 16, authorization);
    }
  });

  it('reads the headers of a filter that encodes them raw', async () => {
    const { code, removed } = await check(service, {
      rawHeaders: [
        ['authorization', `Bearer ${pat.accessToken}`],
        ['x-odd', '\xff\xfe'],
        ['x_countersign_subject', UNKNOWN_ID],
      ],
    });
    assert.equal(code, 0);
    assert.ok(removed.includes('x_countersign_subject'));
  });

  it('M01 removes whatever reads like its own names, and overwrites those', async () => {
    const forged = [
      'x_countersign_subject',
      'x-countersign_subject',
      'x.countersign.roles',
      'x-countersign-admin',
      'x-countersign-caller',
      'x!countersign!subject',
      '_x--countersign~roles',
    ];
    const headers = {
      ...bearer(pat.accessToken),
      'x-countersign-subject': UNKNOWN_ID,
      ...Object.fromEntries(forged.map((name) => [name, UNKNOWN_ID])),
    };
    const { code, set, removed } = await check(service, { headers });
    assert.equal(code, 0);
    assert.equal(set['x-countersign-subject'], pat.userId);
    for (const name of forged) assert.ok(removed.includes(name), name);
    assert.ok(!removed.includes('x-countersign-subject'));
  });

  it('M02 refuses more forged names than a proxy could be told of, in shadow mode too', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `x_countersign_${'a'.repeat(40)}${i}`);
    const headers = Object.fromEntries(names.map((name) => [name, '']));
    const settings = { shadow: 'true' };
    const many = await check(service, { headers, settings });
    assert.deepEqual([many.code, many.status, many.removed], [7, 403, []]);
    const few = Object.fromEntries(names.slice(0, 30).map((name) => [name, '']));
    const passed = await check(service, { headers: few, settings });
    assert.deepEqual([passed.code, passed.removed.length], [0, 33]);
  });

  it('asks for permissions, which an account may lack although its token is for us', async () => {
    const plain = await person(base, 'user');
    const headers = bearer(plain.accessToken);
    const denied = await check(service, {
      headers,
      settings: { required_permissions: 'users.read' },
    });
    assert.deepEqual([denied.code, denied.status], [7, 403]);
    assert.equal((await check(service, { headers })).code, 0);
  });

  it('asks for its own audience, or for the one that the rule names', async () => {
    const headers = bearer(pat.accessToken);
    const other = await check(service, { headers, settings: { audience: 'https://other.test' } });
    assert.deepEqual([other.code, other.status], [16, 401]);
    const own = await check(service, { headers, settings: { audience: 'https://issuer.test' } });
    assert.equal(own.code, 0);
    const { secret } = await newKey(base, pat, { scopes: ['users.read'] });
    const inside = await keysOf(base, pat).exchangeApiKey({
      secret,
      audience: 'https://orders.test',
    });
    assert.equal((await check(service, { headers: bearer(inside.accessToken) })).code, 16);
    const settings = { audience: 'https://orders.test' };
    assert.equal((await check(service, { headers: bearer(inside.accessToken), settings })).code, 0);
  });

  it('S09 refuses on every replica what has been revoked, and a role that was taken away', async () => {
    const { accessToken, sessionId } = await signIn(base, pat.email);
    const headers = bearer(accessToken);
    assert.equal((await check(service, { headers })).code, 0);
    await base.client(SessionService, 'grpc', pat.accessToken).revokeSession({ sessionId });
    await eventually(async () => (await check(service, { headers })).code === 16);

    const helper = await person(base, 'user', 'support');
    const settings = { required_permissions: 'users.read' };
    const asked = { headers: bearer(helper.accessToken), settings };
    assert.equal((await check(service, asked)).code, 0);
    const admin = base.client(AdminService, 'grpc', pat.accessToken);
    await admin.revokeRole({
      holder: { case: 'userId', value: helper.userId },
      role: 'support',
    });
    await eventually(async () => (await check(service, asked)).code !== 0);

    const { secret, id } = await newKey(base, pat);
    assert.equal((await check(service, { headers: { 'x-api-key': secret } })).code, 0);
    await keysOf(base, pat).revokeApiKey({ apiKeyId: id });
    await eventually(async () => {
      return (await check(service, { headers: { 'x-api-key': secret } })).code === 16;
    });
  });

  it('M03 closes a route whose rule cannot be read, and says so in the log', async () => {
    const headers = bearer(pat.accessToken);
    const rules = [
      { required_scope: 'users.read' },
      { required_roles: 'admin' },
      { Required_Scopes: 'users.read' },
      { requred_scopes: 'users.read' },
      { 'x-required-permissions': 'users.read' },
      { scopes: 'users.read' },
      { required_scopes: '' },
      { required_scopes: ' , ' },
      { audience: '' },
      { shadow: 'yes' },
      { exchange: 'https://unlisted.test' },
    ];
    const lines = await logLines(async () => {
      for (const settings of rules) {
        const { code, status } = await check(service, { headers, settings } as never);
        assert.deepEqual([code, status], [7, 403], JSON.stringify(settings));
      }
    });
    assert.equal(lines.filter(({ msg }) => msg === 'unreadable rule').length, rules.length);
    const foreign = { team: 'orders', 'requires.attention': 'no' };
    assert.equal((await check(service, { headers, settings: { team: foreign.team } })).code, 0);
  });

  it('judges a key by the address that the proxy is connected to', async () => {
    const { secret } = await newKey(base, pat, { allowedCidrs: ['192.0.2.0/24'] });
    const headers = bearer(secret);
    assert.equal((await check(service, { headers, source: '192.0.2.9' })).code, 0);
    assert.equal((await check(service, { headers, source: '::ffff:192.0.2.9' })).code, 0);
    assert.equal((await check(service, { headers, source: '203.0.113.1' })).code, 16);
    const forwarded = { ...headers, 'x-forwarded-for': '192.0.2.9' };
    assert.equal((await check(service, { headers: forwarded, source: '203.0.113.1' })).code, 16);
    assert.equal((await check(service, { headers, source: '' })).code, 16);
  });

  it('answers a used-up limit to the client, with a status of its own for gRPC', async () => {
    const { secret } = await newKey(base, pat, {
      rateLimit: { requests: 1, per: { seconds: 3600n } },
    });
    const headers = { 'x-api-key': secret };
    assert.equal((await check(service, { headers })).code, 0);
    const denied = await check(service, { headers });
    assert.deepEqual([denied.code, denied.status], [7, 429]);
    assert.ok(Number(denied.set['retry-after']) > 3000);
    assert.equal(denied.set['grpc-status'], undefined);
    const rpc = await check(service, {
      headers: { ...headers, 'content-type': 'application/grpc' },
    });
    assert.deepEqual([rpc.status, rpc.set['grpc-status']], [429, '8']);
  });

  it('M02 answers a request that is too large or has no HTTP with a refusal, not an error', async () => {
    const large = await check(service, {
      headers: bearer(pat.accessToken),
      body: 'x'.repeat(5 * 1024 * 1024),
    });
    assert.deepEqual([large.code, large.status], [7, 403]);
    const fitting = await check(service, {
      headers: { ...bearer(pat.accessToken), cookie: 'c'.repeat(60_000) },
      body: 'x'.repeat(3 * 1024 * 1024),
    });
    assert.equal(fitting.code, 0);
    for (const empty of [create(CheckRequestSchema), checkRequest({ headers: {} })]) {
      if (empty.attributes?.request) empty.attributes.request.http = undefined as never;
      const { status } = await service.client(Authorization).check(empty);
      assert.equal(status?.code, 7);
    }
  });

  it('M02 refuses a request whose proxy passes a large header of its client on with its own call', async () => {
    const client = service.client(Authorization);
    const request = checkRequest({ headers: bearer(pat.accessToken) });
    const asked = (bytes: number) =>
      client.check(request, { headers: { tracestate: `a=${'x'.repeat(bytes)}` } });
    assert.equal((await asked(12_000)).status?.code, 0);
    for (const bytes of [17_000, 60_000]) assert.equal((await asked(bytes)).status?.code, 7);
  });

  it('A07 asks its caller for the permission, and warns of one without it', async () => {
    const strict = await startReplica(base, {
      env: { ...env, COUNTERSIGN_TRUSTED_CALLERS: '192.0.2.1' },
    });
    const request = checkRequest({ headers: bearer(pat.accessToken) });
    const plain = await person(base, 'user');
    const lines = await logLines(async () => {
      const nobody = strict.client(Authorization);
      assert.equal((await refusal(nobody.check(request))).code, Code.Unauthenticated);
      const someone = strict.client(Authorization, 'grpc', plain.accessToken);
      assert.equal((await refusal(someone.check(request))).code, Code.PermissionDenied);
    });
    assert.equal(lines.filter(({ level }) => level === 40 || level === 'warn').length, 2);
    const { secret } = await newKey(base, pat, { scopes: ['tokens.introspect'] });
    const proxy = strict.client(Authorization, 'grpc', secret);
    assert.equal((await proxy.check(request)).status?.code, 0);
  });

  it('A07 is open by Connect to no address that a forwarding header makes uncertain', async () => {
    const url = `http://${service.app.httpAddress}/envoy.service.auth.v3.Authorization/Check`;
    const init = (headers: object) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{}',
    });
    assert.equal((await fetch(url, init({}))).status, 200);
    assert.equal((await fetch(url, init({ 'x-forwarded-for': '203.0.113.7' }))).status, 401);
    const stock = { headers: { 'x-envoy-internal': 'true', 'x-forwarded-for': '10.0.0.7' } };
    const asked = service.client(Authorization).check(checkRequest({}), stock);
    assert.equal((await asked).status?.code, 16);
  });

  it('reads no large request of a caller that it does not know', async () => {
    const strict = await startReplica(base, {
      env: { ...env, COUNTERSIGN_TRUSTED_CALLERS: '192.0.2.1' },
    });
    const request = checkRequest({ body: 'x'.repeat(3 * 1024 * 1024) });
    assert.ok(toBinary(CheckRequestSchema, request).length > 3 * 1024 * 1024);
    const { code } = await refusal(strict.client(Authorization).check(request));
    assert.equal(code, Code.Unauthenticated);
  });
});
