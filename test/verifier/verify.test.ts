import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { user } from '../access/shop.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { Forger } from '../forge.ts';
import { eventually } from '../harness/eventually.ts';
import { accountOf, claimsOf, NEW_PASSWORD, PASSWORD, signedIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { byGrpc, MachineClock, reasonAt, untilReason, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const TOKEN_MS = 10 * 60_000;

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ limits });
  boss = await withRoles(service, 'user', 'admin');
});

describe('A verifier', () => {
  for (const protocol of ['connect', 'grpc'] as const) {
    it(`tells by ${protocol} who a token speaks for, at once when it knows the token`, async () => {
      const verifier = verifierOf(service, protocol === 'grpc' ? grpc() : {});
      const { accessToken, sessionId } = await signedIn(service);
      const { sub } = claimsOf(accessToken);
      const principal = await verifier.verify(accessToken);
      assert.equal(principal.subject, sub);
      assert.equal(principal.sessionId, sessionId);
      assert.deepEqual(principal.roles, ['user']);
      assert.deepEqual(principal.amr, ['pwd']);
      assert.equal(verifier.verify(accessToken), principal);
      assert.equal(verifier.state, 'ready');
    });
  }

  it('tells who it is in a form that no handler can change for the calls after it', async () => {
    const verifier = verifierOf(service);
    const owner = await withRoles(service, 'user', 'admin');
    const { secret } = await newKey(service, owner, { scopes: ['users.read'] });
    for (const credential of [owner.accessToken, secret]) {
      const principal = await verifier.verify(credential);
      for (const list of [principal.permissions, principal.roles, principal.audience]) {
        assert.throws(() => (list as string[]).push('everything'), TypeError);
      }
    }
  });

  it('S09 refuses what ends a session, changes a password, suspends a user or takes away a role', async () => {
    const replica = await startReplica(service, { limits });
    const verifier = verifierOf(replica);
    const ways: ((who: Administrator) => Promise<unknown>)[] = [
      ({ refreshToken }) => service.auth.logout({ refreshToken }),
      ({ userId }) => boss.admin.revokeUserSessions({ userId }),
      ({ userId }) => boss.admin.suspendUser({ userId }),
      ({ userId }) => boss.admin.revokeRole({ holder: user(userId), role: 'admin' }),
    ];
    for (const way of ways) {
      const who = await withRoles(service, 'user', 'admin');
      assert.equal(await reasonAt(verifier, who.accessToken), undefined);
      await way(who);
      await untilReason(verifier, who.accessToken, 'TOKEN_REVOKED');
    }
    const [old, other] = [await withRoles(service, 'user'), await signedIn(service)];
    const again = await service.auth.login({ email: old.email, password: PASSWORD });
    if (again.outcome.case !== 'tokens') throw new Error('no tokens');
    await accountOf(service, again.outcome.value).changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    await untilReason(verifier, old.accessToken, 'TOKEN_REVOKED');
    assert.equal(await reasonAt(verifier, other.accessToken), undefined);
  });

  it('S09 knows what was revoked before it began', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    const verifier = verifierOf(service);
    assert.equal(await reasonAt(verifier, accessToken), 'TOKEN_REVOKED');
    assert.ok(verifier.sizes.revocations > 0);
  });

  it('tells its owner what is revoked', async () => {
    const verifier = verifierOf(service);
    await verifier.ready();
    const heard: { kind: string; id: string; cause: string }[] = [];
    verifier.on('revocation', (revocation) => heard.push(revocation));
    const { refreshToken, sessionId } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    await eventually(() => heard.some(({ id }) => id === sessionId));
    assert.deepEqual(
      heard.find(({ id }) => id === sessionId),
      { kind: 'session', id: sessionId, cause: 'logout' },
    );
  });

  it('refuses a token of another issuer, audience or kind, and one that was altered', async () => {
    const verifier = verifierOf(service);
    const forger = await Forger.of(service);
    assert.equal(await reasonAt(verifier, await forger.token()), undefined);
    const bad = [
      await forger.token({ iss: 'https://other.test' }),
      await forger.token({ aud: 'other' }),
      await forger.token({}, { typ: 'JWT' }),
      await forger.token({}, { kid: 'unknown' }),
      await forger.token({}, { crit: ['exp'], exp: 1 }).catch(() => 'a.b.c'),
      await forger.token({ sub: undefined }),
      await forger.token({ sid: 'mine' }),
      await forger.token({ iat: Math.floor(Date.now() / 1000) + 60 }),
      await forger.token({ nbf: Math.floor(Date.now() / 1000) + 60 }),
      await forger.sign('[]'),
      `${await forger.token()}A`,
      'csr_something',
      '',
    ];
    for (const token of bad) assert.equal(await reasonAt(verifier, token), 'TOKEN_INVALID', token);
  });

  it('S03 refuses a token of more than 4 KiB before it reads it', async () => {
    const verifier = verifierOf(service);
    const forger = await Forger.of(service);
    const long = await forger.token({ client_id: 'x'.repeat(4000) });
    assert.throws(() => verifier.verify(long), { reason: 'TOKEN_INVALID' });
  });

  it('holds a limited number of tokens, however many it sees', async () => {
    const verifier = verifierOf(service, { maxTokens: 50 });
    const forger = await Forger.of(service);
    for (let i = 0; i < 200; i += 1)
      await verifier.verify(await forger.token({ jti: `token-${i}` }));
    assert.equal(verifier.sizes.tokens, 50);
  });

  it('S15 judges by the clock of the service, whatever its own says', async () => {
    for (const offMs of [-5 * 60_000, 5 * 60_000]) {
      const clock = new TestClock();
      const replica = await startReplica(service, { clock, limits });
      const machine = new MachineClock();
      machine.set(offMs);
      const verifier = verifierOf(replica, { clock: machine });
      await verifier.ready();
      const { accessToken } = await signedIn(replica);
      assert.equal(await reasonAt(verifier, accessToken), undefined);
      clock.advance(TOKEN_MS - 30_000);
      await eventually(() => verifier.nowSeconds * 1000 >= Number(clock.now()) - 20_000);
      assert.equal(await reasonAt(verifier, accessToken), undefined);
      clock.advance(30_000);
      await untilReason(verifier, accessToken, 'TOKEN_EXPIRED');
    }
  });
});

function grpc() {
  return { ...byGrpc(service), baseUrl: '' };
}

describe('A verifier and signing keys', () => {
  it('S12 knows a new key by its first token, and refuses a revoked one', async () => {
    const own = await startService({ limits });
    const admin = await withRoles(own, 'user', 'admin');
    const keys = own.client(AdminService, 'grpc', admin.accessToken);
    const verifier = verifierOf(own);
    const before = await signedIn(own);
    assert.equal(await reasonAt(verifier, before.accessToken), undefined);
    const { signingKeys } = await keys.listSigningKeys({});
    const active = signingKeys.find(({ keyId }) => keyId === headerOf(before.accessToken));
    await keys.revokeSigningKey({ keyId: active?.keyId ?? '', reason: 'leaked' });
    await untilReason(verifier, before.accessToken, 'TOKEN_REVOKED');
    const after = await signedIn(own);
    assert.notEqual(headerOf(after.accessToken), headerOf(before.accessToken));
    await untilReason(verifier, after.accessToken, undefined);
    assert.equal(await reasonAt(verifier, before.accessToken), 'TOKEN_REVOKED');
  });
});

function headerOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
}

describe('A verifier and API keys', () => {
  it('S09 accepts a key until it or its owner is refused', async () => {
    const verifier = verifierOf(service);
    const ways: ((owner: Administrator, apiKeyId: string) => Promise<unknown>)[] = [
      ({ accessToken }, apiKeyId) => keysOf(accessToken).revokeApiKey({ apiKeyId }),
      ({ userId }) => boss.admin.suspendUser({ userId }),
    ];
    const reasons = ['TOKEN_REVOKED', 'ACCOUNT_SUSPENDED'];
    for (const [index, way] of ways.entries()) {
      const owner = await withRoles(service, 'user', 'admin');
      const { id, secret } = await newKey(service, owner, { scopes: ['users.read'] });
      const principal = await verifier.verify(secret);
      assert.equal(principal.apiKeyId, id);
      assert.deepEqual(principal.permissions, ['users.read']);
      assert.equal(verifier.verify(secret), principal);
      await way(owner, id);
      await untilReason(verifier, secret, reasons[index]);
    }
  });

  it('S09 asks again if the key or its owner was revoked while it asked', async () => {
    const ways: [(owner: Administrator, apiKeyId: string) => Promise<unknown>, string][] = [
      [
        ({ accessToken }, apiKeyId) => keysOf(accessToken).revokeApiKey({ apiKeyId }),
        'TOKEN_REVOKED',
      ],
      [({ userId }) => boss.admin.suspendUser({ userId }), 'ACCOUNT_SUSPENDED'],
    ];
    for (const [way, reason] of ways) {
      const arrived = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      const late: typeof fetch = async (input, init) => {
        const answer = await fetch(input, init);
        if (!String(input).endsWith('/VerifyApiKey')) return answer;
        arrived.resolve();
        await held.promise;
        return answer;
      };
      const verifier = verifierOf(service, { fetch: late, askTimeoutMs: 60_000 });
      await verifier.ready();
      const owner = await withRoles(service, 'user', 'admin');
      const { id, secret } = await newKey(service, owner);
      const asked = reasonAt(verifier, secret);
      await arrived.promise;
      const heard = new Set<string>();
      verifier.on('revocation', (revocation) => heard.add(revocation.id));
      await way(owner, id);
      await eventually(() => heard.has(id) || heard.has(owner.userId));
      held.resolve();
      assert.equal(await asked, reason);
    }
  });

  it('notices soon that a key may do less', async () => {
    const verifier = verifierOf(service);
    const owner = await withRoles(service, 'user', 'admin');
    const { id, secret } = await newKey(service, owner, { scopes: ['users.read'] });
    await verifier.verify(secret);
    const apiKey = { apiKeyId: id, scopes: ['audit.read'] };
    await keysOf(owner.accessToken).updateApiKey({ apiKey, updateMask: { paths: ['scopes'] } });
    await eventually(async () => {
      const { permissions } = await verifier.verify(secret);
      return permissions.includes('audit.read') && !permissions.includes('users.read');
    });
  });

  it('A03 counts each use of a key with a limit, and answers as the limit does', async () => {
    const verifier = verifierOf(service);
    const owner = await withRoles(service, 'user', 'admin');
    const rateLimit = { requests: 3, per: { seconds: 3600n } };
    const { secret } = await newKey(service, owner, { rateLimit });
    for (let i = 0; i < 3; i += 1) assert.equal(await reasonAt(verifier, secret), undefined);
    await assert.rejects(async () => verifier.verify(secret), {
      reason: 'RATE_LIMITED',
      httpStatus: 429,
      isRefusal: false,
    });
  });

  it('asks nobody about what is no key', async () => {
    const verifier = verifierOf(service);
    const bad = `csk_${'0'.repeat(60)}`;
    for (const secret of ['csk_', bad]) {
      assert.throws(() => verifier.verify(secret), { reason: 'TOKEN_INVALID' });
    }
  });

  it('passes on the address that a key comes from', async () => {
    const verifier = verifierOf(service);
    const owner = await withRoles(service, 'user', 'admin');
    const { secret } = await newKey(service, owner, { allowedCidrs: ['192.0.2.0/24'] });
    assert.equal((await verifier.verify(secret, { ipAddress: '192.0.2.7' })).type, 'user');
    await assert.rejects(async () => verifier.verify(secret, { ipAddress: '198.51.100.7' }), {
      reason: 'ADDRESS_NOT_ALLOWED',
      httpStatus: 403,
    });
  });
});

function keysOf(accessToken: string) {
  return service.client(ApiKeyService, 'grpc', accessToken);
}
