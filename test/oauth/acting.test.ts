import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { BUILT_IN_PERMISSIONS } from '../../src/access/permissions.ts';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { keysOf, newKey } from '../api-keys/keys.ts';
import { emptyCall, everyMethod } from '../every-service.ts';
import { Forger } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, isActive, person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer, check } from '../mesh/asking.ts';
import { untilReason, verifierOf } from '../verifier/verifiers.ts';
import { post } from './asking.ts';
import { type Acting, AUDIENCES, acting, ORDERS, PAYMENTS } from './delegation.ts';

const PERMISSIONS = Object.keys(BUILT_IN_PERMISSIONS);
const OWN = 'https://issuer.test';
const methods = everyMethod();

let service: Service;
let replica: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ env: AUDIENCES });
  // Roles that lack one permission each.
  await sql(
    service.databaseUrl,
    `insert into roles (name, description, permissions, built_in, created_at, updated_at)
     select 'no.' || p, '', array(select q from unnest($1::text[]) q where q <> p), false, now(), now()
     from unnest($1::text[]) p`,
    [PERMISSIONS],
  );
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
});

describe('A token with which a service acts for a user', () => {
  it('A09 allows at each moment what its scope, its subject and its actors all hold: every permission', async () => {
    const forger = await Forger.of(service);
    const robot = await acting(service, boss, []);
    const { act } = claimsOf(await robot.exchange(boss.accessToken));
    const byRole = (role: string, inner?: object) => ({
      ...(act as object),
      owner_roles: [role],
      ...(inner && { act: inner }),
    });
    for (const permission of PERMISSIONS) {
      const [all, without] = [byRole('admin'), byRole(`no.${permission}`)];
      const of = (scope: string[], role: string, chain: object) => ({
        ...{ aud: OWN, roles: undefined, owner_roles: [role], act: chain },
        scope: scope.join(' '),
      });
      const others = PERMISSIONS.filter((name) => name !== permission);
      const held: [object, boolean][] = [
        [of(PERMISSIONS, 'admin', all), true],
        [of(others, 'admin', all), false],
        [of(PERMISSIONS, `no.${permission}`, all), false],
        [of(PERMISSIONS, 'admin', without), false],
        [of(PERMISSIONS, 'admin', byRole('admin', without)), false],
        [of(PERMISSIONS, 'admin', byRole('admin', byRole('admin', all))), true],
      ];
      for (const [claims, holds] of held) {
        const token = await forger.token({ ...claims });
        const told = await service.sessions.introspectToken({
          ...{ token, requiredPermissions: [permission] },
        });
        assert.equal(told.active, holds, permission);
        const passes = await check(service, {
          headers: bearer(token),
          settings: { required_permissions: permission },
        });
        assert.equal(passes.code === 0, holds, permission);
        const url = `http://${service.app.httpAddress}/verify?required_scopes=${permission}`;
        assert.equal((await fetch(url, { headers: bearer(token) })).status, holds ? 200 : 403);
      }
    }
  });

  it('A09 opens methods that ask for a permission of keys, and no other', async () => {
    const robot = await acting(
      service,
      boss,
      PERMISSIONS.filter((p) => p !== 'tokens.exchange'),
    );
    const token = await robot.exchange(boss.accessToken, { audience: OWN });
    let opened = 0;
    for (const method of methods) {
      const rule = accessRule(method);
      const { caller, apiKeyAllowed } = rule ?? {};
      if (caller?.case === 'public') continue;
      const refused = await emptyCall(service, method, token);
      const opens = caller?.case === 'permission' && apiKeyAllowed;
      const isDenied = refused?.reason === 'PERMISSION_DENIED';
      // Who acts for someone can't pass that on as its own.
      if (method.name === 'ExchangeToken') continue;
      assert.equal(isDenied, !opens, method.name);
      if (opens) opened += 1;
    }
    assert.ok(opened > 5);
  });

  /** What /oauth2/introspect says, to a trusted caller. */
  const told = async (at: Service, token: string) =>
    (await post(at, '/oauth2/introspect', { token })).body;

  it('A09 S09 names its actors still when the edge exchanges it, and ends with them', async () => {
    const first = await acting(service, boss, ['users.read']);
    const second = await acting(service, boss, ['users.read']);
    const one = await first.exchange(boss.accessToken, { audience: OWN });
    const two = await second.exchange(one, { audience: OWN });
    const answer = await check(service, {
      ...{ headers: bearer(two), settings: { exchange: ORDERS } },
    });
    const query = `exchange=${encodeURIComponent(ORDERS)}`;
    const url = `http://${service.app.httpAddress}/verify?${query}`;
    const verified = await fetch(url, { headers: bearer(two) });
    const inside = [answer.set['authorization'], verified.headers.get('authorization')];
    assert.equal(answer.set['x-countersign-session'], '');
    for (const header of inside) {
      const token = header?.split(' ')[1] ?? '';
      const { act, aud, sub, roles } = claimsOf(token);
      assert.deepEqual([aud, sub, roles], [ORDERS, boss.userId, undefined]);
      assert.deepEqual(act, claimsOf(two)['act']);
      assert.deepEqual((await told(replica, token))['act'], {
        ...{ sub: second.robot, client_id: second.keyId },
        act: { sub: first.robot, client_id: first.keyId },
      });
      const { principal } = await replica.sessions.introspectToken({ token });
      assert.deepEqual(
        principal?.actors.map(({ subject, apiKeyId }) => [subject, apiKeyId]),
        [second, first].map(({ robot, keyId }) => [robot, keyId]),
      );
    }
    await keysOf(service, boss).revokeApiKey({ apiKeyId: first.keyId });
    for (const header of inside) {
      const token = header?.split(' ')[1] ?? '';
      assert.deepEqual(await told(service, token), { active: false });
      await eventually(async () => (await told(replica, token))['active'] === false);
    }
  });

  it('A09 ends with a key that is narrowed, and its other keys exchange on, on every replica', async () => {
    const { robot, keyId, secret } = await acting(service, boss, ['users.read', 'audit.read']);
    const settings = { serviceAccountId: robot, scopes: ['tokens.exchange', 'users.read'] };
    const other = await newKey(service, boss, settings);
    const exchanged = async (at: Service, key: string) => {
      const client = at.client(AuthService, 'grpc', key);
      const request = { subjectToken: boss.accessToken, audience: ORDERS };
      return (await client.exchangeToken(request)).accessToken;
    };
    for (const at of [service, replica]) {
      for (const key of [secret, other.secret]) {
        assert.equal(await isActive(at, await exchanged(at, key)), true);
      }
    }
    await keysOf(service, boss).updateApiKey({
      apiKey: { apiKeyId: keyId, scopes: ['tokens.exchange'] },
      updateMask: { paths: ['scopes'] },
    });
    for (const at of [service, replica]) {
      for (const key of [secret, other.secret]) {
        await eventually(async () => isActive(at, await exchanged(at, key)));
      }
    }
  });

  it('A09 names no session to services behind a proxy, which would take it for the user', async () => {
    const robot = await acting(service, boss, ['users.read']);
    const token = await robot.exchange(boss.accessToken, { audience: OWN });
    const url = `http://${service.app.httpAddress}/verify`;
    const names = (headers: Headers) =>
      ['subject', 'session', 'scopes', 'roles'].map((of) => headers.get(`x-countersign-${of}`));
    const own = await fetch(url, { headers: bearer(boss.accessToken) });
    assert.equal(names(own.headers)[1], boss.sessionId);
    const acted = await fetch(url, { headers: bearer(token) });
    assert.deepEqual(names(acted.headers), [boss.userId, '', 'users.read', '']);
  });

  it('A09 is judged by the database where that decides: the service lost its key a moment ago', async () => {
    const robot = await acting(service, boss, ['users.write', 'users.read']);
    const token = await robot.exchange(boss.accessToken, { audience: OWN });
    const { userId } = await person(service);
    const admin = replica.client(AdminService, 'grpc', token);
    await admin.suspendUser({ userId });
    const [event] = await sql(
      service.databaseUrl,
      `select actor, api_key_id from audit_events where type = 'account.suspended' and subject = $1`,
      [userId],
    );
    assert.deepEqual(event, { actor: boss.userId, api_key_id: robot.keyId });
    // Written past the service, so that no replica hears of it.
    await sql(service.databaseUrl, `update service_accounts set roles = '{}' where id = $1`, [
      robot.robot,
    ]);
    await assert.rejects(admin.reinstateUser({ userId }), /permission/);
  });

  it('A09 S09 ends at verifiers outside too, whoever of the chain is concerned', async () => {
    const near = await startService({ env: AUDIENCES, limits: { checkpointMs: 100 } });
    const owner = await withRoles(near, 'user', 'admin');
    const ends: ((of: Acting) => Promise<unknown>)[] = [
      ({ keyId }) => keysOf(near, owner).revokeApiKey({ apiKeyId: keyId }),
      ({ robot }) =>
        owner.admin.revokeRole({
          holder: { case: 'serviceAccountId', value: robot },
          role: 'admin',
        }),
    ];
    const verifier = verifierOf(near, { audience: PAYMENTS });
    for (const end of ends) {
      const [first, second] = [
        await acting(near, owner, ['users.read']),
        await acting(near, owner, ['users.read']),
      ];
      const one = await first.exchange(owner.accessToken);
      const two = await second.exchange(one, { audience: PAYMENTS });
      const { actors, roles } = await verifier.verify(two);
      assert.deepEqual(
        [actors.map(({ subject }) => subject), roles],
        [[second.robot, first.robot], []],
      );
      await end(first);
      await untilReason(verifier, two, 'TOKEN_REVOKED');
    }
  });
});
