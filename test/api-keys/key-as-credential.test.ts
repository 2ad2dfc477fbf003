import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { BUILT_IN_PERMISSIONS, BUILT_IN_ROLES } from '../../src/access/permissions.ts';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { emptyCall, everyMethod as methodsOfAll } from '../every-service.ts';
import { Forger } from '../forge.ts';
import { PROTOCOLS, type Protocol } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { type Person, person } from '../harness/people.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import { EVERY_KEY } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { keysOf, newKey } from './keys.ts';

const ISSUER = 'https://issuer.test';
const methods = methodsOfAll();
const permissionNames = Object.keys(BUILT_IN_PERMISSIONS);

let service: Service;

before(async () => {
  service = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
});

const call = (method: DescMethod, credential: string) => emptyCall(service, method, credential);

const REFUSALS = /^(PERMISSION_DENIED|SCOPE_MISSING|CREDENTIALS_MISSING|TOKEN_\w+|REAUTH\w+)$/;

/** Why the call was refused access; undefined if it was admitted, whatever came after. */
const refusalOf = (refused: Refusal | undefined) =>
  REFUSALS.test(refused?.reason ?? '') ? refused?.reason : undefined;

/** Whether a method's access rule admits a key. */
function opens(method: DescMethod, scopes: readonly string[], role: string): boolean {
  const rule = accessRule(method);
  if (!rule?.apiKeyAllowed || rule.caller.case !== 'permission') return false;
  const held = new Set<string>(BUILT_IN_ROLES[role]?.permissions ?? []);
  const needed = [rule.caller.value, rule.orPermission];
  return scopes.some((scope) => held.has(scope) && needed.includes(scope));
}

/** The methods that some key opens, and the permissions that open one to a key. */
const opened = methods.filter((method) => opens(method, permissionNames, 'admin'));
const telling = permissionNames.filter((scope) =>
  opened.some((method) => opens(method, [scope], 'admin')),
);

const KEYS: Record<string, readonly string[]> = {
  'no scope': [],
  'every scope': permissionNames,
  'all but those': permissionNames.filter((name) => !telling.includes(name)),
  ...Object.fromEntries(telling.map((scope) => [scope, [scope]])),
};

describe('A01 A04 An API key on every method of ours', () => {
  for (const role of Object.keys(BUILT_IN_ROLES)) {
    it(`A01 opens what its scopes and its owner's role ${role} both allow, and nothing else`, async () => {
      const owner = await person(service, 'admin');
      const credentials: { what: string; scopes: readonly string[]; credential: string }[] = [];
      for (const [name, scopes] of Object.entries(KEYS)) {
        const { secret } = await newKey(service, owner, { scopes: [...scopes] });
        credentials.push({ what: `a key with ${name}`, scopes, credential: secret });
      }
      await become(owner, role, credentials[1]?.credential ?? '');
      for (const { what, scopes, credential: secret } of [...credentials]) {
        const exchange = { secret, audience: ISSUER };
        const token = await service.client(ApiKeyService).exchangeApiKey(exchange);
        credentials.push({ what: `a token of ${what}`, scopes, credential: token.accessToken });
      }
      for (const { what, scopes, credential } of credentials) {
        await everyMethod(role, what, scopes, credential);
      }
    });
  }

  async function everyMethod(
    role: string,
    what: string,
    scopes: readonly string[],
    credential: string,
  ): Promise<void> {
    // A key with every scope shows that the others are closed to keys.
    const isNarrow = scopes.length === 1 && !EVERY_KEY;
    for (const method of isNarrow ? opened : methods) {
      const refused = await call(method, credential);
      const where = `${method.name} with ${what}, owner ${role}`;
      if (accessRule(method)?.caller.case === 'public') {
        assert.notEqual(refused?.code, Code.PermissionDenied, where);
        continue;
      }
      const age = accessRule(method)?.maxSignInAge && 'REAUTHENTICATION_REQUIRED';
      const expected = opens(method, scopes, role) ? age : 'PERMISSION_DENIED';
      assert.equal(refusalOf(refused), expected, where);
    }
  }

  /** Grants the owner another role, and waits until it takes effect. */
  async function become({ email, accessToken }: Person, role: string, secret: string) {
    await sql(service.databaseUrl, 'update accounts set roles = $2 where email = $1', [
      email,
      [role],
    ]);
    const held = BUILT_IN_ROLES[role]?.permissions ?? [];
    await eventually(async () => {
      const client = service.client(ApiKeyService, 'grpc', accessToken);
      const { principal } = await client.verifyApiKey({ secret });
      return principal?.scopes.length === held.length;
    });
  }
});

describe('A04 Every method of ours that is not public', () => {
  const guarded = methods.filter((method) => accessRule(method)?.caller.case !== 'public');

  it('A04 is closed without a credential, with a foreign one, and with a narrower one', async () => {
    const { accessToken, refreshToken } = await person(service, 'user');
    const forger = await Forger.of(service);
    const foreign = {
      'a refresh token': refreshToken,
      'a token of another issuer': await forger.token({ iss: 'https://other.test' }),
      'a token for another audience': await forger.token({ aud: 'https://other.test' }),
      'a token that nobody signed': `${accessToken.slice(0, -8)}AAAAAAAA`,
    };
    for (const method of guarded) {
      assert.equal((await call(method, ''))?.reason, 'CREDENTIALS_MISSING', method.name);
      for (const [what, credential] of Object.entries(foreign)) {
        const refused = await call(method, credential);
        assert.equal(refused?.reason, 'TOKEN_INVALID', `${method.name} with ${what}`);
      }
      if (accessRule(method)?.caller.case !== 'permission') continue;
      const narrow = await call(method, accessToken);
      assert.equal(narrow?.reason, 'PERMISSION_DENIED', `${method.name} of a user without it`);
    }
  });
});

describe('An API key as a credential', () => {
  let owner: Person;

  before(async () => {
    owner = await person(service, 'admin');
  });

  const introspect = (headers: Record<string, string>, protocol: Protocol = 'grpc') =>
    service.client(SessionService, protocol).introspectToken({ token: 'x' }, { headers });

  for (const protocol of PROTOCOLS) {
    it(`is accepted by ${protocol} as a bearer token and as x-api-key`, async () => {
      const { secret } = await newKey(service, owner, { scopes: ['tokens.introspect'] });
      const forms: Record<string, string>[] = [
        { authorization: `Bearer ${secret}` },
        { authorization: `bearer  ${secret}` },
        { authorization: `ApiKey ${secret}` },
        { 'x-api-key': secret },
      ];
      for (const headers of forms) {
        assert.equal((await introspect(headers, protocol)).active, false);
      }
    });
  }

  it('A02 is refused in the same way whatever is wrong with it', async () => {
    const { secret } = await newKey(service, owner, { scopes: ['tokens.introspect'] });
    const bad = [`${secret.slice(0, -1)}0`, secret.slice(0, -2), `${secret}x`, 'csk_', 'csk_x'];
    for (const text of bad.filter((each) => each !== secret)) {
      for (const headers of [{ authorization: `Bearer ${text}` }, { 'x-api-key': text }]) {
        const { code, reason, message } = await refusal(introspect(headers));
        assert.deepEqual(
          [code, reason, message],
          [Code.Unauthenticated, 'TOKEN_INVALID', 'the API key is not valid'],
        );
      }
    }
    const other = await refusal(introspect({ 'x-api-key': owner.accessToken }));
    assert.equal(other.reason, 'TOKEN_INVALID');
  });

  it('is ignored if a method is public, and acts for nobody', async () => {
    const { secret } = await newKey(service, owner, { scopes: permissionNames });
    const client = service.client(AccountService, 'grpc', secret);
    const refused = await refusal(client.confirmEmailChange({ token: 'x' }));
    assert.equal(refused.reason, 'TOKEN_INVALID');
    const logout = await refusal(service.client(AuthService, 'grpc', secret).logout({}));
    assert.equal(logout.code, Code.Unauthenticated);
  });

  it('A03 is limited to its networks', async () => {
    const scopes = ['tokens.introspect'];
    const here = await newKey(service, owner, { scopes, allowedCidrs: ['::ffff:127.0.0.0/104'] });
    assert.equal((await introspect({ 'x-api-key': here.secret })).active, false);
    const elsewhere = await newKey(service, owner, { scopes, allowedCidrs: ['192.0.2.0/24'] });
    const stranger = { 'x-forwarded-for': '192.0.2.1' };
    for (const headers of [
      { 'x-api-key': elsewhere.secret },
      { ...stranger, 'x-api-key': elsewhere.secret },
      // An untrusted proxy stands in the right network, and callers behind it may not.
      { ...stranger, 'x-api-key': here.secret },
      { forwarded: 'for=127.0.0.1', 'x-api-key': here.secret },
    ]) {
      const refused = await refusal(introspect(headers));
      assert.deepEqual(
        [refused.code, refused.reason],
        [Code.PermissionDenied, 'ADDRESS_NOT_ALLOWED'],
      );
    }
  });

  it('A03 is held to its limit, whose refusal says nothing about the credential', async () => {
    const { secret } = await newKey(service, owner, {
      scopes: ['tokens.introspect'],
      rateLimit: { requests: 3, per: { seconds: 60n } },
    });
    for (let i = 0; i < 3; i += 1) await introspect({ 'x-api-key': secret });
    const refused = await refusal(introspect({ 'x-api-key': secret }));
    assert.deepEqual([refused.code, refused.reason], [Code.ResourceExhausted, 'RATE_LIMITED']);
    assert.deepEqual(refused.metadata, { limit: 'api_key' });
    assert.ok((refused.retryAfterMs ?? 0) > 0);
  });

  it('S09 is refused from the moment that it is revoked', async () => {
    const { id, secret } = await newKey(service, owner, { scopes: ['tokens.introspect'] });
    await introspect({ 'x-api-key': secret });
    await keysOf(service, owner).revokeApiKey({ apiKeyId: id });
    const refused = await refusal(introspect({ 'x-api-key': secret }));
    assert.deepEqual([refused.code, refused.reason], [Code.Unauthenticated, 'TOKEN_REVOKED']);
  });

  it('is named in the line of the call, and its secret is not', async () => {
    const { id, secret } = await newKey(service, owner, { scopes: ['tokens.introspect'] });
    const lines = await logLines(() => introspect({ 'x-api-key': secret }));
    const line = lines.find(({ msg }) => msg === 'call');
    assert.deepEqual(
      [line?.['principal'], line?.['api_key_id'], line?.['session_id']],
      [owner.userId, id, undefined],
    );
    assert.ok(!JSON.stringify(lines).includes(secret.slice(26)));
  });
});
