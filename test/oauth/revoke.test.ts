import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import * as client from 'openid-client';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { newKey } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, isActive, type Person, person, UNKNOWN_ID } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer } from '../mesh/asking.ts';
import { basic, post } from './asking.ts';

const PATH = '/oauth2/revoke';

let service: Service;
let replica: Service;
let pat: Person;
let key: { id: string; secret: string };

before(async () => {
  service = await startService({ env: { COUNTERSIGN_ISSUER: '' } });
  replica = await startReplica(service, { env: { COUNTERSIGN_ISSUER: service.app.publicUrl } });
  pat = await person(service, 'user', 'admin');
  key = await newKey(service, pat, { scopes: ['users.read'] });
});

const revoke = (token: string, headers: Record<string, string> = {}) =>
  post(service, PATH, { token }, headers);

async function keyToken(): Promise<string> {
  const request = { secret: key.secret, audience: service.app.publicUrl };
  return (await service.client(ApiKeyService).exchangeApiKey(request)).accessToken;
}

describe('POST /oauth2/revoke', () => {
  it('S09 ends the session of a refresh token, on every replica', async () => {
    const { accessToken, refreshToken } = await person(service);
    assert.equal(await isActive(replica, accessToken), true);
    const { status, body } = await revoke(refreshToken);
    assert.deepEqual([status, body], [200, {}]);
    assert.equal(await isActive(service, accessToken), false);
    await eventually(async () => !(await isActive(replica, accessToken)));
    assert.equal((await revoke(refreshToken)).status, 200);
  });

  it('S09 ends one access token, of a key or a session, and no other', async () => {
    for (const [token, other] of [
      [await keyToken(), await keyToken()],
      [(await person(service)).accessToken, pat.accessToken],
    ] as const) {
      assert.equal(await isActive(replica, token), true);
      assert.equal((await revoke(token, basic(key.id, key.secret))).status, 200);
      assert.equal(await isActive(service, token), false);
      await eventually(async () => !(await isActive(replica, token)));
      assert.equal(await isActive(replica, other), true);
      assert.equal((await revoke(token)).status, 200);
    }
  });

  it('answers alike for what it does not know, and has ended nothing', async () => {
    const others = [
      'x',
      `csr_${UNKNOWN_ID}.x`,
      `${pat.accessToken}x`,
      'eyJ.eyJ.x',
      'x'.repeat(8000),
    ];
    for (const token of others) {
      const { status, body } = await revoke(token, bearer(key.secret));
      assert.deepEqual([status, body], [200, {}]);
    }
    assert.equal(await isActive(service, pat.accessToken), true);
  });

  it('refuses no token at all, an API key, and a client that is none', async () => {
    const bad: [Record<string, string>, Record<string, string>, number, string][] = [
      [{}, {}, 400, 'invalid_request'],
      [{ token: '' }, bearer(pat.accessToken), 400, 'invalid_request'],
      [{ token: key.secret }, {}, 400, 'unsupported_token_type'],
      [{ token: pat.accessToken }, bearer('x'), 401, 'invalid_client'],
      [{ token: pat.accessToken }, basic(key.id, 'csk_x'), 401, 'invalid_client'],
    ];
    for (const [form, headers, status, error] of bad) {
      const told = await post(service, PATH, form, headers);
      assert.deepEqual([told.status, told.body['error']], [status, error]);
    }
    assert.equal(await isActive(service, pat.accessToken), true);
  });

  it('E01 leaves an event with the token, and whose it was', async () => {
    const token = await keyToken();
    await revoke(token, basic(key.id, key.secret));
    const { jti } = claimsOf(token);
    const events = await sql(
      service.databaseUrl,
      `select actor, subject, api_key_id, details from audit_events
       where type = 'token.revoked' and details->>'token_id' = $1`,
      [jti],
    );
    const details = { token_id: jti, api_key_id: key.id };
    const { userId } = pat;
    assert.deepEqual(events, [{ actor: userId, subject: userId, api_key_id: key.id, details }]);
  });

  it('is what openid-client asks', async () => {
    const execute = [client.allowInsecureRequests];
    const url = new URL(service.app.publicUrl);
    for (const auth of [client.None(), client.ClientSecretBasic(key.secret)]) {
      const config = await client.discovery(url, key.id, {}, auth, { execute });
      const { accessToken, refreshToken } = await person(service);
      await client.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' });
      assert.equal(await isActive(service, accessToken), false);
    }
  });
});
