import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { before, describe, it } from 'node:test';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { logLines } from '../harness/logs.ts';
import { type Person, person, UNKNOWN_ID } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer } from './asking.ts';

let service: Service;
let pat: Person;

before(async () => {
  service = await startService({
    env: {
      COUNTERSIGN_EXCHANGE_AUDIENCES: 'https://orders.test',
      COUNTERSIGN_CORS_ORIGINS: 'https://app.example',
    },
  });
  pat = await person(service, 'user', 'admin');
});

type Verified = { status: number; headers: IncomingHttpHeaders; body: string };

/** Asks as a proxy does. Headers are a list of names and values, so that names can come twice. */
async function verify(
  at: Service,
  path: string,
  headers: Record<string, string> | string[],
  method = 'GET',
): Promise<Verified> {
  const req = httpRequest(`http://${at.app.httpAddress}${path}`, {
    method,
    headers: headers as Record<string, string>,
    agent: false,
    setHost: !Array.isArray(headers),
  });
  req.end();
  const [res] = await once(req, 'response');
  let body = '';
  for await (const piece of res.setEncoding('utf8')) body += piece;
  return { status: res.statusCode, headers: res.headers, body };
}

describe('/verify', () => {
  it('answers exactly 200 to a good credential, with whom it speaks for', async () => {
    for (const path of ['/verify', '/verify/', '/verify/orders/7', '/verify?']) {
      const { status, headers, body } = await verify(service, path, bearer(pat.accessToken));
      assert.equal(status, 200, path);
      assert.equal(body, '');
      assert.equal(headers['x-countersign-subject'], pat.userId);
      assert.equal(headers['x-countersign-session'], pat.sessionId);
      assert.match(headers['x-countersign-scopes'] as string, /users\.read/);
      assert.equal(headers['x-countersign-roles'], 'user,admin');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['authorization'], undefined);
    }
  });

  it('sends empty names too, and says what Envoy has to remove', async () => {
    const { secret } = await newKey(service, pat, { scopes: [] });
    const { status, headers } = await verify(service, '/verify', {
      'x-api-key': secret,
      X_Countersign_Subject: UNKNOWN_ID,
    });
    assert.equal(status, 200);
    for (const name of ['session', 'scopes', 'roles']) {
      assert.equal(headers[`x-countersign-${name}`], '');
    }
    assert.equal(
      headers['x-envoy-auth-headers-to-remove'],
      'authorization,x-api-key,x-countersign-caller,x_countersign_subject',
    );
  });

  it('answers any method, without waiting for a body', async () => {
    const headers = { ...bearer(pat.accessToken), 'content-length': '1000000' };
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      assert.equal((await verify(service, '/verify', bearer(pat.accessToken), method)).status, 200);
    }
    const req = httpRequest(`http://${service.app.httpAddress}/verify`, {
      method: 'POST',
      headers,
    });
    req.on('error', () => {});
    req.flushHeaders();
    const [res] = await once(req, 'response');
    assert.equal(res.statusCode, 200);
    req.destroy();
  });

  it("judges a preflight and any host or origin: they are the client's, not the proxy's", async () => {
    const embedded = await startReplica(service, {
      env: { COUNTERSIGN_ALLOWED_HOSTS: 'id.example' },
    });
    const preflight = {
      host: 'shop.example',
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
    };
    assert.equal((await verify(embedded, '/verify', preflight, 'OPTIONS')).status, 401);
    const allowed = { ...preflight, ...bearer(pat.accessToken) };
    const { status, headers } = await verify(embedded, '/verify', allowed, 'OPTIONS');
    assert.equal(status, 200);
    assert.equal(headers['access-control-allow-origin'], undefined);
  });

  it('answers HTTP/1.0 and requests to upgrade', async () => {
    const upgrade = { ...bearer(pat.accessToken), connection: 'upgrade', upgrade: 'websocket' };
    assert.equal((await verify(service, '/verify', upgrade)).status, 200);
    assert.equal(
      (await verify(service, '/verify', { ...upgrade, authorization: 'x' })).status,
      401,
    );
    const [host = '', port = ''] = service.app.httpAddress.split(':');
    const socket = connect(Number(port), host);
    socket.write(`GET /verify HTTP/1.0\r\nauthorization: Bearer ${pat.accessToken}\r\n\r\n`);
    let text = '';
    for await (const piece of socket.setEncoding('utf8')) text += piece;
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  });

  it('M02 answers CONNECT with a refusal, and does not hang up', async () => {
    for (const target of ['/verify', 'shop.example:443']) {
      const [host = '', port = ''] = service.app.httpAddress.split(':');
      const socket = connect(Number(port), host);
      socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: shop.example\r\n\r\n`);
      let text = '';
      for await (const piece of socket.setEncoding('utf8')) text += piece;
      assert.match(text, /^HTTP\/1\.1 405 /);
    }
  });

  it('asks for what every one of its rules names', async () => {
    const { secret } = await newKey(service, pat, { scopes: ['users.read', 'audit.read'] });
    const of = (query: string) => verify(service, `/verify?${query}`, bearer(secret));
    assert.equal((await of('required_scopes=users.read,audit.read')).status, 200);
    assert.equal((await of('required_scopes=users.read&required_scopes=audit.read')).status, 200);
    const lacking = await of('required_scopes=users.read&required_scopes=roles.read');
    assert.equal(lacking.status, 403);
    assert.equal(
      lacking.headers['www-authenticate'],
      'Bearer error="insufficient_scope", scope="roles.read"',
    );
    assert.equal((await of('required_permissions=users.read%20roles.read')).status, 403);
    assert.equal((await of('required_roles=admin')).status, 403);
    assert.equal((await of('required_scopes=')).status, 403);
  });

  it('refuses more than one value of a credential', async () => {
    const token = `Bearer ${pat.accessToken}`;
    const host = ['host', 'x.example'];
    const twice = [...host, 'authorization', 'Bearer garbage', 'Authorization', token];
    assert.equal((await verify(service, '/verify', twice)).status, 401);
    const same = [...host, 'authorization', token, 'authorization', token];
    assert.equal((await verify(service, '/verify', same)).status, 401);
    const joined = { authorization: `${token},${token}` };
    assert.equal((await verify(service, '/verify', joined)).status, 401);
    const { secret } = await newKey(service, pat);
    const keys = [...host, 'x-api-key', secret, 'x-api-key', secret];
    assert.equal((await verify(service, '/verify', keys)).status, 401);
  });

  it('M01 lets no client loosen the rule by a path or query that its proxy passes on', async () => {
    const loosening = [
      ['/verify/orders?shadow=true', {}],
      ['/verify?path=/orders&shadow=true', {}],
      ['/verify?shadow=true', { 'x-forwarded-uri': '/orders?shadow=true' }],
      [
        '/verify?exchange=https://orders.test',
        { 'x-forwarded-uri': '/?exchange=https://orders.test' },
      ],
      ['/verify?shadow=true&shadow=false', {}],
      [
        '/verify?required_scopes=users.read&shadow=true',
        { 'x-forwarded-uri': '/orders?shadow=true' },
      ],
      ['/verify?%73hadow=true', { 'x-forwarded-uri': '/orders?shadow=true' }],
      ['/verify?shadow=true', { 'x-forwarded-uri': '/orders?page=2&%73hadow=tru%65' }],
    ] as const;
    for (const [path, headers] of loosening) {
      const { status } = await verify(service, path, { ...headers });
      assert.ok(status === 401 || status === 403, path);
    }
    const original = { 'x-original-uri': '/orders?shadow=true' };
    assert.equal((await verify(service, '/verify?shadow=true', original)).status, 403);
    const open = { 'x-forwarded-uri': '/orders?shadow=false' };
    assert.equal((await verify(service, '/verify?shadow=true', open)).status, 200);
  });

  it('M01 lets no client name the audience of its own token', async () => {
    const { secret } = await newKey(service, pat, { scopes: ['users.read'] });
    const audience = 'https://orders.test';
    const { accessToken } = await keysOf(service, pat).exchangeApiKey({ secret, audience });
    const of = (path: string, headers = {}) =>
      verify(service, path, { ...bearer(accessToken), ...headers });
    const query = `audience=${audience}`;
    assert.equal((await of(`/verify?${query}`)).status, 200);
    assert.equal((await of('/verify/orders')).status, 401);
    assert.equal((await of(`/verify/orders?${query}`)).status, 403);
    assert.equal((await of(`/verify?page=2&${query}`)).status, 403);
    const uri = { 'x-forwarded-uri': `/orders?${query}` };
    assert.equal((await of(`/verify?${query}`, uri)).status, 403);
  });

  it('M02 answers scopes without end in few bytes, which every proxy takes', async () => {
    const { secret } = await newKey(service, pat, { scopes: ['users.read'] });
    const scopes = Array.from({ length: 20_000 }, (_, i) => i.toString(36)).join(',');
    const path = `/verify/orders?required_scopes=${scopes}`;
    const { status, headers } = await verify(service, path, bearer(secret));
    assert.equal(status, 403);
    assert.ok(JSON.stringify(headers).length < 1024);
  });

  it("W09 logs the rule, and nothing else of the client's query", async () => {
    const path = '/verify/orders?required_scopes=users.read&code=abcdefgh';
    const lines = await logLines(async () => {
      assert.equal((await verify(service, path, {})).status, 401);
    });
    const { rule } = lines.find(({ msg }) => msg === 'request refused') ?? {};
    assert.equal(rule, 'required_scopes=users.read');
    assert.ok(!JSON.stringify(lines).includes('abcdefgh'));
  });

  it('judges a request with 60 KB of cookies, from its proxy alone', async () => {
    const cookie = 'c'.repeat(60_000);
    const headers = { ...bearer(pat.accessToken), cookie };
    assert.equal((await verify(service, '/verify', headers)).status, 200);
    assert.equal((await verify(service, '/verify', { cookie })).status, 401);
    assert.equal((await verify(service, '/healthz', { cookie })).status, 431);
    const strict = await startReplica(service, {
      env: { COUNTERSIGN_TRUSTED_CALLERS: '192.0.2.1' },
    });
    assert.equal((await verify(strict, '/verify', headers)).status, 431);
  });

  it('A07 asks its caller for a credential of its own, and warns of one without it', async () => {
    const strict = await startReplica(service, {
      env: { COUNTERSIGN_TRUSTED_CALLERS: '192.0.2.1' },
    });
    const { secret } = await newKey(service, pat, { scopes: ['tokens.introspect'] });
    const lacking = await newKey(service, pat, { scopes: ['users.read'] });
    const user = bearer(pat.accessToken);
    const asking = (caller: string) =>
      verify(strict, '/verify', { ...user, 'x-countersign-caller': caller });
    const lines = await logLines(async () => {
      assert.equal((await verify(strict, '/verify', user)).status, 403);
      for (const caller of ['', 'Bearer garbage', `Bearer ${lacking.secret}`]) {
        const { status, headers } = await asking(caller);
        assert.equal(status, 403, caller);
        assert.equal(headers['x-countersign-subject'], undefined);
      }
    });
    assert.equal(lines.filter(({ level }) => level === 'warn' || level === 40).length, 4);
    assert.equal((await asking(`Bearer ${secret}`)).status, 200);
    const nobody = { 'x-countersign-caller': `Bearer ${secret}` };
    assert.equal((await verify(strict, '/verify', nobody)).status, 401);
    const named = await newKey(service, pat, {
      scopes: ['tokens.introspect'],
      allowedCidrs: ['127.0.0.1'],
    });
    const forwarded = { ...user, 'x-forwarded-for': '203.0.113.7' };
    const caller = { ...forwarded, 'x-countersign-caller': `Bearer ${named.secret}` };
    assert.equal((await verify(strict, '/verify', caller)).status, 200);
  });

  it("M02 answers a caller's used-up limit with a refusal: the header may be the client's", async () => {
    const { secret } = await newKey(service, pat, {
      scopes: ['tokens.introspect'],
      rateLimit: { requests: 1, per: { seconds: 3600n } },
    });
    const headers = { ...bearer(pat.accessToken), 'x-countersign-caller': `Bearer ${secret}` };
    assert.equal((await verify(service, '/verify', headers)).status, 200);
    const limited = await verify(service, '/verify', headers);
    assert.equal(limited.status, 429);
    assert.equal(limited.headers['x-countersign-subject'], undefined);
  });

  it('is no other path', async () => {
    for (const path of ['/verifyer', '/Verify', '/verify%2f', '//verify']) {
      assert.equal((await verify(service, path, bearer(pat.accessToken))).status, 404, path);
    }
  });
});
