import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { type Person, person, signIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer, check } from './asking.ts';

const ORDERS = 'https://orders.test';
const env = { COUNTERSIGN_EXCHANGE_AUDIENCES: `${ORDERS},https://stock.test` };

let service: Service;
let pat: Person;

before(async () => {
  service = await startService({ env });
  pat = await person(service, 'user', 'admin');
});

/** The token that the upstream gets in place of the credential. */
async function exchanged(at: Service, secret: string, exchange = ORDERS): Promise<string> {
  const { code, set, removed } = await check(at, {
    headers: bearer(secret),
    settings: { exchange },
  });
  assert.equal(code, 0);
  assert.ok(!removed.includes('authorization'));
  assert.ok(removed.includes('x-api-key'));
  const [scheme, token = ''] = (set['authorization'] ?? '').split(' ');
  assert.equal(scheme, 'Bearer');
  return token;
}

const introspect = (at: Service, token: string, audience = ORDERS) =>
  at.sessions.introspectToken({ token, audience });

describe('The exchange of a credential at the edge', () => {
  it('replaces an access token by one for the audience of the rule, for five minutes', async () => {
    const token = await exchanged(service, pat.accessToken);
    const [outer, inner] = [decodeJwt(pat.accessToken), decodeJwt(token)];
    assert.equal(inner.aud, ORDERS);
    for (const claim of ['sub', 'sid', 'roles', 'amr', 'acr', 'auth_time', 'scope', 'iss']) {
      assert.deepEqual(inner[claim], outer[claim], claim);
    }
    assert.equal((inner.exp ?? 0) - (inner.iat ?? 0), 300);
    const { active, principal } = await introspect(service, token);
    assert.equal(active, true);
    assert.equal(principal?.sessionId, pat.sessionId);
  });

  it('makes a token that does not open the edge again', async () => {
    const token = await exchanged(service, pat.accessToken);
    assert.equal((await check(service, { headers: bearer(token) })).code, 16);
    const settings = { audience: ORDERS };
    assert.equal((await check(service, { headers: bearer(token), settings })).code, 0);
  });

  it('makes one for the scopes of an API key, which its revocation reaches', async () => {
    const { secret, id } = await newKey(service, pat, { scopes: ['users.read'] });
    const token = await exchanged(service, secret);
    assert.equal(decodeJwt(token)['api_key_id'], id);
    assert.equal(decodeJwt(token)['scope'], 'users.read');
    assert.equal((await introspect(service, token)).active, true);
  });

  it('S09 makes tokens that end with the session of their credential', async () => {
    const { accessToken, sessionId } = await signIn(service, pat.email);
    const replica = await startReplica(service);
    const token = await exchanged(replica, accessToken);
    const own = service.client(SessionService, 'grpc', pat.accessToken);
    await own.revokeSession({ sessionId });
    assert.equal((await introspect(service, token)).active, false);
    assert.equal((await check(service, { headers: bearer(accessToken) })).code, 16);
  });

  it('keeps a token for its credential and audience, and renews it at half of its life', async () => {
    const someone = await person(service, 'user');
    const first = await exchanged(service, someone.accessToken);
    assert.equal(await exchanged(service, someone.accessToken), first);
    assert.notEqual(await exchanged(service, someone.accessToken, 'https://stock.test'), first);
    service.clock.advance(149_000);
    assert.equal(await exchanged(service, someone.accessToken), first);
    service.clock.advance(2000);
    const second = await exchanged(service, someone.accessToken);
    assert.notEqual(second, first);
    assert.equal((await introspect(service, first)).active, true);
  });

  it('signs once for all who ask at the same time', async () => {
    const someone = await person(service, 'user');
    const tokens = await Promise.all(
      Array.from({ length: 32 }, () => exchanged(service, someone.accessToken)),
    );
    assert.equal(new Set(tokens).size, 1);
  });

  it('keeps a token for a secret that a rotation is going to end', async () => {
    const { secret, id } = await newKey(service, pat, { scopes: ['users.read'] });
    await keysOf(service, pat).rotateApiKey({ apiKeyId: id, overlap: { seconds: 600n } });
    const token = await exchanged(service, secret);
    assert.equal(await exchanged(service, secret), token);
    service.clock.advance(400_000);
    const { exp = 0 } = decodeJwt(await exchanged(service, secret));
    assert.ok(exp * 1000 <= service.clock.now().getTime() + 200_000);
  });

  it('makes no token that outlives its credential', async () => {
    const someone = await person(service, 'user');
    const outer = decodeJwt(someone.accessToken);
    service.clock.advance(9 * 60_000);
    const inner = decodeJwt(await exchanged(service, someone.accessToken));
    assert.equal(inner.exp, outer.exp);
  });
});
