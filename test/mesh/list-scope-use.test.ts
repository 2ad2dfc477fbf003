import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyReason, ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { type KeyScopeUse, ScopeState } from '../../gen/countersign/v1/scope_use_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { type Administrator, adminClient, withRoles } from '../administrators.ts';
import { newKey, newRobot, verify } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { accountOf, signIn, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const DAY_MS = 86_400_000;
const STATES = new Map<number, string>(
  Object.entries(ScopeState).map(([name, state]) => [state, name]),
);

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

/** What is listed about a key, if it is. */
async function listed(apiKeyId: string, request: object = {}, by = boss.admin) {
  const { keys } = await by.listScopeUse({ apiKeyId, ...request });
  assert.ok(keys.length <= 1);
  return keys[0];
}

/** The states of a key's scopes, by their names. */
function states(key: KeyScopeUse | undefined) {
  return Object.fromEntries(
    key?.scopes.map(({ scope, state }) => [scope, STATES.get(state)]) ?? [],
  );
}

/** Waits until a key's scopes are these. */
async function become(apiKeyId: string, expected: Record<string, keyof typeof ScopeState>) {
  const wanted = JSON.stringify(expected);
  await eventually(async () => JSON.stringify(states(await listed(apiKeyId))) === wanted).catch(
    () => {},
  );
  assert.deepEqual(states(await listed(apiKeyId)), expected);
}

const robotsKey = async (scopes: string[], ...roles: string[]) => {
  const serviceAccountId = await newRobot(service, ...roles);
  const key = await newKey(service, boss, { serviceAccountId, scopes });
  return { ...key, serviceAccountId };
};

describe('ListScopeUse', () => {
  it('says which scopes of a key requests used, which they did not, and which it lacked', async () => {
    const { id, secret, serviceAccountId } = await robotsKey(
      ['users.read', 'roles.read'],
      'auditor',
    );
    const requiredScopes = ['users.read', 'users.write'];
    assert.equal((await verify(service, { secret, requiredScopes })).valid, false);
    await become(id, { 'roles.read': 'UNUSED', 'users.read': 'USED', 'users.write': 'MISSING' });
    const key = await listed(id);
    const [unused, used, missing] = key?.scopes ?? [];
    assert.deepEqual([unused?.lastUsedOn, unused?.usedDays, unused?.missingDays], ['', 0, 0]);
    const today = used?.lastUsedOn;
    assert.match(today ?? '', /^\d{4}-\d\d-\d\d$/);
    assert.deepEqual([used?.usedDays, used?.missingDays], [1, 0]);
    assert.deepEqual(
      [missing?.firstMissingOn, missing?.lastMissingOn, missing?.missingDays, missing?.usedDays],
      [today, today, 1, 0],
    );
    assert.deepEqual([key?.owner?.type, key?.owner?.subject], [2, serviceAccountId]);
    assert.equal(key?.displayName, 'test');
  });

  it('counts tokens that the key was exchanged for, and methods of our own', async () => {
    const scopes = ['api_keys.read', 'roles.read', 'tokens.introspect', 'users.read'];
    const { id, secret } = await robotsKey(scopes, 'admin');
    const { accessToken } = await service
      .client(ApiKeyService)
      .exchangeApiKey({ secret, audience: 'https://orders.test' });
    const introspected = { token: accessToken, requiredScopes: ['users.read'] };
    const asKey = service.client(SessionService, 'grpc', secret);
    assert.equal((await asKey.introspectToken(introspected)).active, true);
    const requiredPermissions = ['audit.read'];
    await service.sessions.introspectToken({ token: accessToken, requiredPermissions });
    const keys = service.client(AdminService, 'connect', secret);
    await keys.listScopeUse({});
    assert.equal((await refusal(keys.listServiceAccounts({}))).reason, 'PERMISSION_DENIED');
    await become(id, {
      'api_keys.read': 'USED',
      'audit.read': 'MISSING',
      'roles.read': 'UNUSED',
      'service_accounts.read': 'MISSING',
      'tokens.introspect': 'USED',
      'users.read': 'USED',
    });
  });

  it('counts the key by which a proxy asks at /verify', async () => {
    const { id, secret } = await robotsKey(['tokens.introspect'], 'admin');
    const headers = { 'x-countersign-caller': `Bearer ${secret}` };
    const { status } = await fetch(`http://${service.app.httpAddress}/verify`, { headers });
    assert.equal(status, 401);
    await become(id, { 'tokens.introspect': 'USED' });
  });

  it('does not count a request that is refused for another reason', async () => {
    const { id, secret } = await robotsKey(['users.read'], 'auditor');
    const other = await robotsKey(['users.read'], 'auditor');
    await sql(
      service.databaseUrl,
      `update api_keys set allowed_cidrs = '{192.0.2.7}' where id = $1`,
      [id],
    );
    const query = { secret, requiredScopes: ['users.read'], ipAddress: '198.51.100.1' };
    assert.equal((await verify(service, query)).reason, ApiKeyReason.ADDRESS_NOT_ALLOWED);
    await verify(service, { secret: other.secret, requiredScopes: ['users.read'] });
    await become(other.id, { 'users.read': 'USED' });
    assert.deepEqual(states(await listed(id)), { 'users.read': 'UNUSED' });
  });

  it('adds up what replicas saw of the same keys and wrote at the same time', async () => {
    const replicas = await Promise.all([startReplica(service), startReplica(service)]);
    const scopes = ['audit.read', 'roles.read', 'sessions.read', 'users.read'];
    const keys = await Promise.all(Array.from({ length: 20 }, () => robotsKey(scopes, 'auditor')));
    const needs = [
      ['users.read', 'audit.read', 'made.up'],
      ['audit.read', 'roles.read', 'also.made.up'],
    ];
    const calls = replicas.flatMap((at, replica) => {
      const order = replica === 0 ? keys : keys.toReversed();
      const requiredScopes = needs[replica] ?? [];
      return order.map(({ secret }) => verify(at, { secret, requiredScopes }));
    });
    await Promise.all(calls);
    // A replica that stops writes what is waiting.
    await Promise.all(replicas.map(({ app }) => app.stop()));
    for (const { id } of keys) {
      const key = await listed(id);
      assert.deepEqual(states(key), {
        'also.made.up': 'MISSING',
        'audit.read': 'USED',
        'made.up': 'MISSING',
        'roles.read': 'USED',
        'sessions.read': 'UNUSED',
        'users.read': 'USED',
      });
      assert.deepEqual(new Set(key?.scopes.map(({ usedDays }) => usedDays)), new Set([0, 1]));
    }
  });

  it('W01 keeps few of the names that callers make up, and every permission that exists', async () => {
    const { id, secret } = await robotsKey(['users.read'], 'auditor');
    const odd = ['x'.repeat(200), 'with space', 'tab\t', 'naïve', 'zero\0', '"quoted"'];
    await verify(service, { secret, requiredScopes: odd });
    for (let i = 0; i < 10; i += 1) {
      const requiredScopes = Array.from({ length: 60 }, (_, j) => `made.up_${i}_${j}`);
      await verify(service, { secret, requiredScopes });
    }
    const rowsOf = () =>
      sql<{ scope: string }>(
        service.databaseUrl,
        'select scope from scope_uses where api_key_id = $1',
        [id],
      );
    await eventually(async () => (await rowsOf()).length > 0);
    const replica = await startReplica(service);
    const requiredScopes = Array.from({ length: 90 }, (_, j) => `also.made_up_${j}`);
    await verify(replica, { secret, requiredScopes: [...requiredScopes, 'users.write'] });
    await verify(replica, { secret, requiredScopes: ['users.read'] });
    await replica.app.stop();
    const names = (await rowsOf()).map(({ scope }) => scope);
    assert.ok(names.length <= 52, `${names.length} rows`);
    assert.ok(names.includes('users.write') && names.includes('users.read'));
    assert.deepEqual(
      names.filter((name) => !/^[a-z_.0-9]{1,64}$/.test(name)),
      [],
    );
  });

  it('lists no key of a service account that was deleted, and keeps nothing of it', async () => {
    const { id, secret, serviceAccountId } = await robotsKey(['users.read'], 'auditor');
    const replica = await startReplica(service);
    await verify(service, { secret, requiredScopes: ['users.read'] });
    await become(id, { 'users.read': 'USED' });
    // This replica writes what it has seen after the account has gone.
    assert.equal((await verify(replica, { secret, requiredScopes: ['audit.read'] })).valid, false);
    await boss.admin.deleteServiceAccount({ serviceAccountId });
    await replica.app.stop();
    assert.equal(await listed(id), undefined);
    const left = 'select scope from scope_uses where api_key_id = $1';
    assert.deepEqual(await sql(service.databaseUrl, left, [id]), []);
  });

  it('returns pages that lead to each other, of all keys, of a service account or of one', async () => {
    const serviceAccountId = await newRobot(service, 'auditor');
    const make = () => newKey(service, boss, { serviceAccountId, scopes: ['users.read'] });
    const ids = [(await make()).id, (await make()).id, (await make()).id].reverse();
    const seen: string[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const page = await boss.admin.listScopeUse({ serviceAccountId, pageSize: 2, pageToken });
      seen.push(...page.keys.map(({ apiKeyId }) => apiKeyId));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(seen, ids);
    assert.deepEqual((await boss.admin.listScopeUse({ apiKeyId: UNKNOWN_ID })).keys, []);
    const { nextPageToken } = await boss.admin.listScopeUse({ pageSize: 1 });
    for (const request of [{ days: 7 }, { serviceAccountId }, { apiKeyId: ids[0] ?? '' }]) {
      const page = boss.admin.listScopeUse({ ...request, pageToken: nextPageToken });
      assert.deepEqual((await refusal(page)).fields, ['page_token']);
    }
    for (const request of [{ days: 31 }, { days: -1 }, { pageSize: 101 }, { apiKeyId: 'x' }]) {
      const { reason } = await refusal(boss.admin.listScopeUse(request));
      assert.equal(reason, 'INVALID_REQUEST');
    }
  });

  it('needs the permission to see the keys of others', async () => {
    const auditor = await withRoles(service, 'auditor');
    assert.ok((await auditor.admin.listScopeUse({ pageSize: 1 })).keys);
    const support = await withRoles(service, 'support');
    assert.equal((await refusal(support.admin.listScopeUse({}))).reason, 'PERMISSION_DENIED');
  });

  it('C13 keeps nothing of the keys of an account that was deleted', async () => {
    const who = await withRoles(service, 'auditor');
    const { id, secret } = await newKey(service, who, { scopes: ['users.read'] });
    await verify(service, { secret, requiredScopes: ['users.read', 'users.write'] });
    await become(id, { 'users.read': 'USED', 'users.write': 'MISSING' });
    const exported = JSON.parse((await accountOf(service, who).exportMe({})).json);
    const { scope_uses: uses } = exported.api_keys[0];
    assert.deepEqual(
      uses.map((use: { scope: string }) => use.scope),
      ['users.read', 'users.write'],
    );
    const replica = await startReplica(service);
    await verify(replica, { secret, requiredScopes: ['audit.read'] });
    await accountOf(service, who).deleteMe({});
    await replica.app.stop();
    const left = 'select scope from scope_uses where api_key_id = $1';
    assert.deepEqual(await sql(service.databaseUrl, left, [id]), []);
  });
});

describe('ListScopeUse, as days go by', () => {
  let admin: typeof boss.admin;

  const later = async (days: number) => {
    service.clock.advance(days * DAY_MS);
    admin = adminClient(service, await signIn(service, boss.email));
  };

  before(async () => {
    service = await startService();
    // No day ends while the test runs.
    service.clock.advance(DAY_MS - (service.clock.now().getTime() % DAY_MS) + DAY_MS / 24);
    boss = await withRoles(service, 'user', 'admin');
    admin = boss.admin;
  });

  it('counts days rather than requests, looks back as far as asked, and forgets after 30', async () => {
    const key = await newKey(service, boss, { scopes: ['users.read'] });
    const use = async (...requiredScopes: string[]) => {
      for (let i = 0; i < 3; i += 1) await verify(service, { secret: key.secret, requiredScopes });
    };
    const usesAre = async (
      expected: [scope: string, used: number, missing: number][],
      days = 0,
    ) => {
      const shown = async () =>
        (await listed(key.id, { days }, admin))?.scopes.map(({ scope, usedDays, missingDays }) => [
          scope,
          usedDays,
          missingDays,
        ]);
      const wanted = JSON.stringify(expected);
      await eventually(async () => JSON.stringify(await shown()) === wanted).catch(() => {});
      assert.deepEqual(await shown(), expected);
    };
    const observed = async () => (await listed(key.id, {}, admin))?.observedSince;
    assert.ok(await observed());
    await use('users.read', 'orders.read');
    await usesAre([
      ['orders.read', 0, 1],
      ['users.read', 1, 0],
    ]);
    await later(10);
    await use('users.read');
    await usesAre([
      ['orders.read', 0, 1],
      ['users.read', 2, 0],
    ]);
    await usesAre([['users.read', 1, 0]], 10);
    await later(20);
    await usesAre([['users.read', 1, 0]]);
    assert.equal(await observed(), undefined);
    await use('orders.read');
    await usesAre([
      ['orders.read', 0, 1],
      ['users.read', 1, 0],
    ]);
    await later(10);
    await usesAre([
      ['orders.read', 0, 1],
      ['users.read', 0, 0],
    ]);
    assert.equal((await listed(key.id, {}, admin))?.scopes[1]?.lastUsedOn, '');
  });
});
