import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import {
  IntrospectionReason,
  SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { Forger, judge } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, type Person, person, personWithNew } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { Reader } from '../revocations/revocation-readers.ts';
import { keysOf, newKey } from './keys.ts';

const AUDIENCE = 'https://orders.test';

let service: Service;
let replica: Service;
let owner: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  owner = await person(service, 'user', 'admin');
});

const exchange = (secret: string, request: object = {}, at = service) =>
  at.client(ApiKeyService).exchangeApiKey({ secret, audience: AUDIENCE, ...request });
const introspect = (token: string, request: object = {}, at = service) =>
  at.sessions.introspectToken({ token, ...request });

describe('ExchangeApiKey', () => {
  it('S03 issues no token that is too long to be accepted, and says what to shorten', async () => {
    const { secret } = await newKey(service, owner, { scopes: ['users.read'] });
    const long = await refusal(exchange(secret, { audience: '\u0001'.repeat(2000) }));
    assert.deepEqual([long.reason, long.fields], ['INVALID_REQUEST', ['audience']]);
    const { accessToken } = await exchange(secret, { audience: 'a'.repeat(2000) });
    assert.ok(accessToken.length <= 4096);
    // Made first: later an administrator's own token would be too long, with all these permissions in
    // it.
    const wide = await newKey(service, await person(service, 'admin'), { scopes: ['users.read'] });
    const permissions = Array.from({ length: 30 }, (_, i) => `${'x'.repeat(150)}.p${i}`);
    await sql(
      service.databaseUrl,
      `insert into permissions (name, description, built_in, created_at)
       select name, '', false, now() from unnest($1::text[]) as name`,
      [permissions],
    );
    await sql(
      service.databaseUrl,
      'update api_keys set scopes = $2, version = version + 1 where id = $1',
      [wide.id, permissions],
    );
    await eventually(async () => {
      const refused = await refusal(exchange(wide.secret)).catch(() => undefined);
      return refused?.reason === 'INVALID_REQUEST' && refused.fields[0] === 'scopes';
    });
    await sql(service.databaseUrl, 'delete from permissions where name = any($1)', [permissions]);
  });

  it('A01 returns a token for one audience with no more than was asked for', async () => {
    const { id, secret } = await newKey(service, owner, { scopes: ['users.read', 'audit.read'] });
    const { accessToken, expiresAt, tokenType, scopes } = await exchange(secret, {
      scopes: ['audit.read'],
    });
    assert.deepEqual([tokenType, scopes], ['Bearer', ['audit.read']]);
    const { iat, exp, jti, ...claims } = claimsOf(accessToken);
    assert.deepEqual(claims, {
      iss: 'https://issuer.test',
      sub: owner.userId,
      sub_type: 'user',
      aud: AUDIENCE,
      client_id: 'countersign',
      scope: 'audit.read',
      api_key_id: id,
      roles: [],
      owner_roles: ['user', 'admin'],
      token_version: 0,
      email_verified: true,
    });
    assert.equal(Number(expiresAt?.seconds), exp);
    assert.equal(Number(exp) - Number(iat), 600);
    assert.equal(typeof jti, 'string');
    const { active, principal } = await introspect(accessToken, { audience: AUDIENCE });
    assert.equal(active, true);
    assert.deepEqual(
      [principal?.apiKeyId, principal?.sessionId, principal?.scopes, principal?.authTime],
      [id, '', ['audit.read'], undefined],
    );
    const all = await exchange(secret);
    assert.deepEqual(all.scopes, ['users.read', 'audit.read']);
  });

  it('returns a token that expires no later than its key', async () => {
    const seconds = Math.floor(service.clock.now().getTime() / 1000) + 60;
    const expiresAt = { seconds: BigInt(seconds) };
    const { secret } = await newKey(service, owner, { expiresAt });
    assert.equal(Number((await exchange(secret)).expiresAt?.seconds), seconds);
  });

  it('refuses a bad key, and says what is wrong with it', async () => {
    const unknown = await refusal(exchange(`csk_${'0'.repeat(60)}`));
    assert.deepEqual([unknown.code, unknown.reason], [Code.Unauthenticated, 'TOKEN_INVALID']);
    const { id, secret } = await newKey(service, owner, { scopes: ['users.read'] });
    const scope = await refusal(exchange(secret, { scopes: ['users.read', 'roles.read'] }));
    assert.deepEqual([scope.code, scope.reason], [Code.PermissionDenied, 'SCOPE_MISSING']);
    assert.deepEqual(scope.metadata, { scope: 'roles.read' });
    const elsewhere = await newKey(service, owner, { allowedCidrs: ['192.0.2.1'] });
    assert.equal((await refusal(exchange(elsewhere.secret))).reason, 'ADDRESS_NOT_ALLOWED');
    const rateLimit = { requests: 1, per: { seconds: 60n } };
    const limited = await newKey(service, owner, { rateLimit });
    await exchange(limited.secret);
    const again = await refusal(exchange(limited.secret));
    assert.deepEqual([again.code, again.reason], [Code.ResourceExhausted, 'RATE_LIMITED']);
    await keysOf(service, owner).revokeApiKey({ apiKeyId: id });
    assert.equal((await refusal(exchange(secret))).reason, 'TOKEN_REVOKED');
    assert.deepEqual((await refusal(exchange(secret, { audience: '' }))).fields, ['audience']);
  });

  it('S09 refuses its tokens everywhere once the key is revoked, and tells watchers', async () => {
    const { id, secret } = await newKey(service, owner);
    const { accessToken } = await exchange(secret);
    for (const at of [service, replica]) {
      assert.equal((await introspect(accessToken, {}, at)).active, true);
    }
    const reader = new Reader(replica.client(SessionService));
    await eventually(() => reader.caughtUp);
    await keysOf(service, owner).revokeApiKey({ apiKeyId: id });
    const told = await reader.hears(id);
    assert.deepEqual([told.target.case, told.cause], ['apiKeyId', 'api_key_revoked']);
    for (const at of [service, replica]) {
      await eventually(async () => !(await introspect(accessToken, {}, at)).active);
    }
  });

  it('A01 gives a token no more than its owner’s roles allow now', async () => {
    const name = `reader-${Date.now()}`;
    const role = (permissions: string[]) =>
      sql(
        service.databaseUrl,
        `insert into roles (name, description, built_in, permissions, created_at, updated_at)
         values ($1, '', false, $2, now(), now())
         on conflict (name) do update set permissions = excluded.permissions`,
        [name, permissions],
      );
    await role(['users.read', 'audit.read']);
    const someone = await personWithNew(service, name);
    const { secret } = await newKey(service, someone, { scopes: ['users.read', 'audit.read'] });
    const { accessToken } = await exchange(secret);
    await role(['audit.read']);
    const requiredPermissions = ['users.read'];
    await eventually(async () => {
      const { reason } = await introspect(accessToken, { requiredPermissions });
      return reason === IntrospectionReason.PERMISSION_MISSING;
    });
    assert.deepEqual((await exchange(secret)).scopes, ['audit.read']);
  });

  it('S04 S01 checks every claim of its tokens', async () => {
    const forger = await Forger.of(service);
    const { sid: _, amr: __, acr: ___, auth_time: ____, ...rest } = forger.claims;
    const claims = { ...rest, api_key_id: owner.userId, sub_type: 'user', owner_roles: ['user'] };
    const token = (change: object) => forger.sign(JSON.stringify({ ...claims, ...change }));
    // A key opens no method for signed-in users; otherwise it is known.
    assert.equal(await judge(service, await token({})), 'accepted');
    const odd = {
      api_key_id: [null, '', 'x', 7, []],
      sub_type: [null, '', 'admin', 1],
      owner_roles: [null, 'admin', [1], {}],
      sid: [owner.sessionId],
    };
    for (const [claim, values] of Object.entries(odd)) {
      for (const value of values) {
        const judged = await judge(service, await token({ [claim]: value }));
        assert.equal(judged, 'TOKEN_INVALID', `${claim} ${JSON.stringify(value)}`);
      }
    }
  });
});
