import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import {
  ApiKeyReason,
  type ListApiKeysResponse,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { eventually, refusal, type Service, sql, startReplica, startService } from '../harness.ts';
import { keysOf, newKey, type Person, person, verify } from './keys.ts';

const UNKNOWN = '01890000-0000-7000-8000-000000000000';

let service: Service;
let replica: Service;
let admin: Person;
let user: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  admin = await person(service, 'user', 'admin');
  user = await person(service);
});

const reasonOf = async (secret: string, at = service) => (await verify(at, secret)).reason;
const seconds = (ms: number) => ({ seconds: BigInt(Math.ceil(ms / 1000)) });
const fromNow = (ms: number) => seconds(service.clock.now().getTime() + ms);

async function serviceAccount(...roles: string[]): Promise<string> {
  const [row] = await sql<{ id: string }>(
    service.databaseUrl,
    `insert into service_accounts (id, display_name, description, roles, state, created_at, updated_at)
     values (gen_random_uuid(), 'robot', '', $1, 'active', now(), now()) returning id`,
    [roles],
  );
  return row?.id ?? '';
}

const eventsOf = (keyId: string) =>
  sql<{ type: string; actor: string | null; subject: string | null }>(
    service.databaseUrl,
    `select type, actor, subject from audit_events where details->>'api_key_id' = $1 order by id`,
    [keyId],
  );

describe('CreateApiKey', () => {
  it('C10 asks for a sign-in no older than 10 minutes, as changing and rotating do', async () => {
    const long = await startService({ env: { COUNTERSIGN_ACCESS_TOKEN_TTL: '1h' } });
    const someone = await person(long);
    const { id } = await newKey(long, someone);
    const client = keysOf(long, someone);
    long.clock.advance(590_000);
    await client.createApiKey({ displayName: 'in time' });
    long.clock.advance(20_000);
    const calls = [
      client.createApiKey({ displayName: 'late' }),
      client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'x' } }),
      client.rotateApiKey({ apiKeyId: id }),
    ];
    for (const { reason } of await Promise.all(calls.map(refusal))) {
      assert.equal(reason, 'REAUTHENTICATION_REQUIRED');
    }
    await client.revokeApiKey({ apiKeyId: id });
  });

  it('gives what was asked for, and puts it on record', async () => {
    const { apiKey, id } = await newKey(service, admin, {
      displayName: 'Nightly import',
      scopes: ['users.read'],
      allowedCidrs: ['10.0.0.0/8'],
      expiresAt: fromNow(86_400_000),
      rateLimit: { requests: 100, per: { seconds: 60n } },
    });
    assert.deepEqual(
      [apiKey.displayName, apiKey.scopes, apiKey.allowedCidrs],
      ['Nightly import', ['users.read'], ['10.0.0.0/8']],
    );
    assert.deepEqual([apiKey.owner?.type, apiKey.owner?.subject], [1, admin.userId]);
    assert.deepEqual([apiKey.rateLimit?.requests, apiKey.rateLimit?.per?.seconds], [100, 60n]);
    assert.ok(apiKey.createdAt && apiKey.expiresAt && !apiKey.lastUsedAt && !apiKey.revokedAt);
    assert.deepEqual(await eventsOf(id), [
      { type: 'api_key.created', actor: admin.userId, subject: admin.userId },
    ]);
  });

  it('A01 gives nobody a scope that they do not hold, and none that does not exist', async () => {
    const held = await refusal(newKey(service, user, { scopes: ['users.read'] }));
    assert.deepEqual([held.code, held.reason], [Code.PermissionDenied, 'PERMISSION_DENIED']);
    assert.deepEqual(held.metadata, { permission: 'users.read' });
    for (const scope of ['users', 'users.reads', 'USERS.READ', '*', 'users.read ', ' ', '\0']) {
      const refused = await refusal(newKey(service, admin, { scopes: ['users.read', scope] }));
      assert.ok([Code.InvalidArgument, Code.Internal].includes(refused.code), scope);
      assert.equal(refused.code, Code.InvalidArgument, scope);
      assert.deepEqual(refused.fields, ['scopes[1]'], scope);
    }
  });

  it('refuses networks that can not be read, and an expiry that is not in the future', async () => {
    const bad = [
      ...[
        '10.0.0.0/33',
        '10/8',
        '010.0.0.1',
        '0x0a.0.0.1',
        '10.0.0.0/',
        '10.0.0.0/08',
        '10.0.0.1/-1',
      ],
      ...['2001:db8::/129', '2001:db8:::1', 'fe80::1%eth0', '::ffff:10.0.0.0/95', '[::1]', ' ::1'],
      ...['localhost', '10.0.0.0/8,::1', '10.0.0.0/8/8', '1', '::1/0x10'],
    ];
    for (const network of bad) {
      const refused = await refusal(newKey(service, user, { allowedCidrs: ['::1', network] }));
      assert.deepEqual(refused.fields, ['allowed_cidrs[1]'], network);
    }
    for (const ms of [-86_400_000, -1000, 0]) {
      const expiresAt = {
        seconds: BigInt(Math.floor((service.clock.now().getTime() + ms) / 1000)),
      };
      assert.deepEqual((await refusal(newKey(service, user, { expiresAt }))).fields, [
        'expires_at',
      ]);
    }
  });

  it('names the fields that break their rules', async () => {
    const fields = async (request: object) =>
      (await refusal(newKey(service, user, request))).fields;
    assert.deepEqual(await fields({ displayName: '' }), ['display_name']);
    assert.deepEqual(await fields({ displayName: 'a\0b' }), ['display_name']);
    assert.deepEqual(await fields({ scopes: ['a', 'a'] }), ['scopes']);
    assert.deepEqual(await fields({ serviceAccountId: 'x' }), ['service_account_id']);
    assert.deepEqual(await fields({ rateLimit: { requests: 0, per: { seconds: 1n } } }), [
      'rate_limit.requests',
    ]);
    assert.deepEqual(await fields({ rateLimit: { requests: 1 } }), ['rate_limit.per']);
    assert.deepEqual(await fields({ rateLimit: { requests: 1, per: { seconds: 0n } } }), [
      'rate_limit.per',
    ]);
  });

  it('makes 100 keys that work for an owner, and no more by two at once', async () => {
    const someone = await person(service);
    await newKey(service, someone);
    await sql(
      service.databaseUrl,
      `insert into api_keys (id, account_id, display_name, scopes, secret_hash, key_version,
         allowed_cidrs, created_at, expires_at, revoked_at)
       select gen_random_uuid(), account_id, '', '{}', 'x', 1, '{}', now(),
         case when n > 110 then now() - interval '1 day' end, case when n > 120 then now() end
       from api_keys, generate_series(12, 130) n where account_id = $1`,
      [someone.userId],
    );
    // One and 99 that work, 20 that don't; 101 are too many.
    const client = keysOf(service, someone);
    const { reason } = await refusal(client.createApiKey({ displayName: 'one more' }));
    assert.equal(reason, 'TOO_MANY');
    await sql(
      service.databaseUrl,
      `delete from api_keys where id = (select id from api_keys where account_id = $1
         and display_name = '' and revoked_at is null and expires_at is null limit 1)`,
      [someone.userId],
    );
    const racers = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        keysOf(i % 2 ? replica : service, someone).createApiKey({ displayName: 'racer' }),
      ),
    );
    assert.equal(racers.filter(({ status }) => status === 'fulfilled').length, 1);
  });
});

describe('A key of a service account', () => {
  it('is made with api_keys.write, within what both the account and the maker hold', async () => {
    const robot = await serviceAccount('auditor');
    const { secret, apiKey } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.read'],
    });
    assert.deepEqual([apiKey.owner?.type, apiKey.owner?.subject], [2, robot]);
    const answer = await verify(service, secret);
    assert.deepEqual(
      [answer.valid, answer.principal?.type, answer.principal?.subject, answer.principal?.scopes],
      [true, 2, robot, ['users.read']],
    );
    const wide = { serviceAccountId: robot, scopes: ['users.write'] };
    assert.equal((await refusal(newKey(service, admin, wide))).reason, 'PERMISSION_DENIED');
    const stranger = await refusal(newKey(service, user, { serviceAccountId: robot }));
    assert.equal(stranger.reason, 'PERMISSION_DENIED');
    const nobody = await refusal(newKey(service, admin, { serviceAccountId: UNKNOWN }));
    assert.equal(nobody.reason, 'NOT_FOUND');
  });

  it('S09 falls and rises with the state and the roles of the account, on every replica', async () => {
    const robot = await serviceAccount('auditor');
    const { secret } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.read'],
    });
    const both = [service, replica];
    for (const at of both) assert.equal((await verify(at, secret)).valid, true);
    const set = (column: string, value: unknown) =>
      sql(service.databaseUrl, `update service_accounts set ${column} = $2 where id = $1`, [
        robot,
        value,
      ]);
    const scopesAt = async (at: Service) => (await verify(at, secret)).principal?.scopes.length;
    await set('roles', ['user']);
    for (const at of both) await eventually(async () => (await scopesAt(at)) === 0, 1000);
    await set('roles', ['auditor']);
    for (const at of both) await eventually(async () => (await scopesAt(at)) === 1, 1000);
    for (const state of ['suspended', 'deleted']) {
      await set('state', state);
      for (const at of both) {
        await eventually(
          async () => (await reasonOf(secret, at)) === ApiKeyReason.OWNER_INACTIVE,
          1000,
        );
      }
      await set('state', 'active');
      await eventually(async () => (await verify(service, secret)).valid, 1000);
    }
  });

  it('is seen, changed, rotated and revoked with the permission, and by nobody else', async () => {
    const robot = await serviceAccount('auditor');
    const { id, secret } = await newKey(service, admin, { serviceAccountId: robot });
    const client = keysOf(service, user);
    const refusals = [
      client.getApiKey({ apiKeyId: id }),
      client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'mine' } }),
      client.rotateApiKey({ apiKeyId: id }),
      client.revokeApiKey({ apiKeyId: id }),
    ];
    for (const { code } of await Promise.all(refusals.map(refusal))) {
      assert.equal(code, Code.NotFound);
    }
    const manager = keysOf(service, admin);
    const { apiKeys } = await manager.listApiKeys({ serviceAccountId: robot });
    assert.deepEqual(
      apiKeys.map(({ apiKeyId }) => apiKeyId),
      [id],
    );
    const { apiKey } = await manager.updateApiKey({
      apiKey: { apiKeyId: id, scopes: ['users.read'] },
    });
    assert.deepEqual(apiKey?.scopes, ['users.read']);
    const rotated = await manager.rotateApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(secret), ApiKeyReason.EXPIRED);
    assert.equal((await verify(service, rotated.secret)).valid, true);
    await manager.revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(rotated.secret), ApiKeyReason.REVOKED);
    assert.deepEqual(
      (await eventsOf(id)).map(({ type, actor, subject }) => [type, actor, subject]),
      ['created', 'updated', 'rotated', 'revoked'].map((what) => [
        `api_key.${what}`,
        admin.userId,
        robot,
      ]),
    );
  });

  it('A01 is rotated only by who could do all that it can', async () => {
    const robot = await serviceAccount('admin');
    const { id } = await newKey(service, admin, {
      serviceAccountId: robot,
      scopes: ['users.write'],
    });
    await sql(
      service.databaseUrl,
      `insert into roles (name, description, built_in, permissions, created_at, updated_at)
       values ('keeper', '', false, '{api_keys.read,api_keys.write}', now(), now())`,
    );
    const keeper = await eventuallyPerson('keeper');
    const client = keysOf(service, keeper);
    const refused = await refusal(client.rotateApiKey({ apiKeyId: id }));
    assert.equal(refused.reason, 'PERMISSION_DENIED');
    const wider = { apiKeyId: id, scopes: ['users.write', 'users.read'] };
    const widened = await refusal(client.updateApiKey({ apiKey: wider }));
    assert.equal(widened.reason, 'PERMISSION_DENIED');
    await client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'kept' } });
    await client.revokeApiKey({ apiKeyId: id });
  });

  /** Somebody whose role is so new that the replica has to see it first. */
  async function eventuallyPerson(role: string): Promise<Person> {
    await new Promise((resolve) => setTimeout(resolve, 600));
    return person(service, role);
  }
});

describe('GetApiKey and ListApiKeys', () => {
  it("show people their own, and nobody another's without the permission", async () => {
    const someone = await person(service);
    const { id } = await newKey(service, someone);
    const own = await keysOf(service, someone).getApiKey({ apiKeyId: id.toUpperCase() });
    assert.equal(own.apiKey?.apiKeyId, id);
    const refused = await refusal(keysOf(service, user).getApiKey({ apiKeyId: id }));
    const unknown = await refusal(keysOf(service, user).getApiKey({ apiKeyId: UNKNOWN }));
    assert.deepEqual([refused.code, refused.message], [Code.NotFound, unknown.message]);
    const listed = await refusal(keysOf(service, user).listApiKeys({ userId: someone.userId }));
    assert.equal(listed.reason, 'PERMISSION_DENIED');
    const client = keysOf(service, admin);
    assert.equal((await client.getApiKey({ apiKeyId: id })).apiKey?.apiKeyId, id);
    const { apiKeys } = await client.listApiKeys({ userId: someone.userId.toUpperCase() });
    assert.deepEqual(
      apiKeys.map(({ apiKeyId }) => apiKeyId),
      [id],
    );
    const both = { userId: someone.userId, serviceAccountId: UNKNOWN };
    assert.deepEqual((await refusal(client.listApiKeys(both))).fields, ['service_account_id']);
  });

  it('give pages that lead to each other, and meet each key once', async () => {
    const someone = await person(service);
    const client = keysOf(service, someone);
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) ids.push((await newKey(service, someone)).id);
    await client.revokeApiKey({ apiKeyId: ids[3] ?? '' });
    const all = async (request: object) => {
      const seen: string[] = [];
      let page: ListApiKeysResponse | undefined;
      do {
        const pageToken: string = page?.nextPageToken ?? '';
        page = await client.listApiKeys({ ...request, pageSize: 2, pageToken });
        seen.push(...page.apiKeys.map(({ apiKeyId }) => apiKeyId));
      } while (page.nextPageToken !== '');
      return seen;
    };
    const newest = [...ids].reverse();
    assert.deepEqual(await all({ showRevoked: true }), newest);
    assert.deepEqual(
      await all({}),
      newest.filter((id) => id !== ids[3]),
    );
    const first = await client.listApiKeys({ pageSize: 2 });
    for (const pageToken of [`${first.nextPageToken}x`, 'x', '1..']) {
      assert.deepEqual((await refusal(client.listApiKeys({ pageToken }))).fields, ['page_token']);
    }
    const other = { pageToken: first.nextPageToken, showRevoked: true };
    assert.deepEqual((await refusal(client.listApiKeys(other))).fields, ['page_token']);
  });

  it('A03 say when a key was last used and from where, by whichever replica', async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    const client = keysOf(service, someone);
    await Promise.all(
      [service, replica].map((at) => verify(at, { secret, ipAddress: '192.0.2.7' })),
    );
    const shown = async () => (await client.getApiKey({ apiKeyId: id })).apiKey;
    await eventually(async () => (await shown())?.lastUsedAt !== undefined);
    const first = await shown();
    assert.equal(first?.lastUsedIpAddress, '192.0.2.7');
    for (const at of [service, replica]) await verify(at, { secret, ipAddress: '192.0.2.8' });
    service.clock.advance(61_000);
    await verify(replica, { secret, ipAddress: '192.0.2.9' });
    await eventually(async () => (await shown())?.lastUsedIpAddress === '192.0.2.9');
    const later = Number((await shown())?.lastUsedAt?.seconds) - Number(first?.lastUsedAt?.seconds);
    assert.ok(later >= 60);
  });
});

describe('UpdateApiKey', () => {
  it('S09 narrows a key on every replica', async () => {
    const { id, secret } = await newKey(service, admin, { scopes: ['users.read', 'audit.read'] });
    const from = { secret, ipAddress: '192.0.2.1' };
    for (const at of [service, replica]) assert.equal((await verify(at, from)).valid, true);
    const client = keysOf(service, admin);
    const apiKey = { apiKeyId: id, scopes: ['audit.read'], allowedCidrs: ['198.51.100.0/24'] };
    await client.updateApiKey({ apiKey });
    assert.equal((await verify(service, from)).reason, ApiKeyReason.ADDRESS_NOT_ALLOWED);
    await eventually(async () => !(await verify(replica, from)).valid, 1000);
    await client.updateApiKey({
      apiKey: { apiKeyId: id },
      updateMask: { paths: ['allowed_cidrs'] },
    });
    for (const at of [service, replica]) {
      await eventually(async () => (await verify(at, from)).valid, 1000);
      assert.deepEqual((await verify(at, from)).principal?.scopes, ['audit.read']);
    }
  });

  it('changes what the mask names, or what is not empty, and nothing else', async () => {
    const { id, apiKey } = await newKey(service, admin, {
      displayName: 'before',
      scopes: ['users.read'],
      expiresAt: fromNow(86_400_000),
      rateLimit: { requests: 5, per: { seconds: 60n } },
    });
    const client = keysOf(service, admin);
    const update = async (change: object, paths?: string[]) => {
      const updateMask = paths && { updateMask: { paths } };
      const answer = await client.updateApiKey({
        apiKey: { apiKeyId: id, ...change },
        ...updateMask,
      });
      return answer.apiKey;
    };
    const named = await update({ displayName: 'after' });
    assert.deepEqual([named?.displayName, named?.scopes], ['after', ['users.read']]);
    assert.notEqual(named?.etag, apiKey.etag);
    const endless = await update({}, ['expires_at', 'rate_limit']);
    assert.deepEqual(
      [endless?.displayName, endless?.expiresAt, endless?.rateLimit],
      ['after', undefined, undefined],
    );
    const bare = await update({}, ['*']);
    assert.deepEqual([bare?.displayName, bare?.scopes], ['', []]);
    for (const path of ['revoked_at', 'owner', 'api_key_id', 'displayName', 'constructor', '']) {
      const refused = await refusal(update({}, [path]));
      assert.deepEqual(refused.fields, ['update_mask'], path);
    }
    const scoped = await refusal(update({ scopes: ['nothing'] }));
    assert.deepEqual(scoped.fields, ['api_key.scopes[0]']);
    const stale = { apiKeyId: id, displayName: 'x', etag: apiKey.etag };
    assert.equal((await refusal(client.updateApiKey({ apiKey: stale }))).reason, 'ETAG_MISMATCH');
  });

  it('E01 puts what has changed on record, what is personal where it can be erased', async () => {
    const { id } = await newKey(service, admin, {
      displayName: 'before',
      scopes: ['users.read'],
      rateLimit: { requests: 5, per: { seconds: 60n } },
    });
    const same = { scopes: ['users.read'], rateLimit: { requests: 5, per: { seconds: 60n } } };
    const client = keysOf(service, admin);
    const update = async (change: object) =>
      (await client.updateApiKey({ apiKey: { apiKeyId: id, ...same, ...change } })).apiKey?.etag;
    const expiresAt = fromNow(86_400_000);
    const allowedCidrs = ['192.0.2.0/24'];
    const etag = await update({ displayName: 'after', allowedCidrs, expiresAt });
    assert.equal(await update({ displayName: 'after', allowedCidrs, expiresAt }), etag);
    await update({ scopes: ['audit.read'] });
    const events = await sql(
      service.databaseUrl,
      `select details, personal::jsonb as personal from audit_events
       where type = 'api_key.updated' and details->>'api_key_id' = $1 order by id`,
      [id],
    );
    assert.deepEqual(events, [
      {
        details: {
          api_key_id: id,
          fields: ['display_name', 'allowed_cidrs', 'expires_at'],
          before: {},
          after: { expires_at: new Date(Number(expiresAt.seconds) * 1000).toISOString() },
        },
        personal: {
          before: { display_name: 'before', allowed_cidrs: [] },
          after: { display_name: 'after', allowed_cidrs: allowedCidrs },
        },
      },
      {
        details: {
          api_key_id: id,
          fields: ['scopes'],
          before: { scopes: ['users.read'] },
          after: { scopes: ['audit.read'] },
        },
        personal: null,
      },
    ]);
  });

  it('A01 widens nothing beyond what its owner holds', async () => {
    const { id } = await newKey(service, user);
    const apiKey = { apiKeyId: id, scopes: ['users.read'] };
    const refused = await refusal(keysOf(service, user).updateApiKey({ apiKey }));
    assert.equal(refused.reason, 'PERMISSION_DENIED');
    const foreign = { apiKeyId: id, displayName: 'taken' };
    const other = await refusal(keysOf(service, admin).updateApiKey({ apiKey: foreign }));
    assert.equal(other.code, Code.NotFound, 'nobody changes the keys of another user');
  });
});

describe('RotateApiKey', () => {
  it('A03 S09 has the old secret work until the overlap is over, on every replica', async () => {
    const { id, secret } = await newKey(service, user);
    const client = keysOf(service, user);
    const rotated = await client.rotateApiKey({ apiKeyId: id, overlap: { seconds: 30n } });
    assert.ok(rotated.apiKey?.previousSecretExpiresAt);
    for (const at of [service, replica]) {
      assert.equal((await verify(at, secret)).valid, true);
      assert.equal((await verify(at, rotated.secret)).valid, true);
    }
    service.clock.advance(31_000);
    for (const at of [service, replica]) {
      assert.equal(await reasonOf(secret, at), ApiKeyReason.EXPIRED);
      assert.equal((await verify(at, rotated.secret)).valid, true);
    }
    const { apiKey } = await client.getApiKey({ apiKeyId: id });
    assert.equal(apiKey?.previousSecretExpiresAt, undefined);
  });

  it('ends the oldest of three secrets at once, where rotations overlap', async () => {
    const first = await newKey(service, user);
    const client = keysOf(service, user);
    const rotation = { apiKeyId: first.id, overlap: { seconds: 600n } };
    const second = await client.rotateApiKey(rotation);
    assert.equal((await verify(replica, first.secret)).valid, true);
    const third = await client.rotateApiKey(rotation);
    assert.equal(await reasonOf(first.secret), ApiKeyReason.UNKNOWN_KEY);
    await eventually(async () => !(await verify(replica, first.secret)).valid, 1000);
    for (const { secret } of [second, third]) {
      assert.equal((await verify(replica, secret)).valid, true);
    }
  });

  it('gives two that rotate at once one key with two secrets', async () => {
    const { id } = await newKey(service, user);
    const racers = await Promise.all(
      [service, replica].map((at) =>
        keysOf(at, user).rotateApiKey({ apiKeyId: id, overlap: { seconds: 60n } }),
      ),
    );
    for (const { secret } of racers) assert.equal((await verify(service, secret)).valid, true);
  });

  it('refuses a revoked key, and an overlap out of bounds', async () => {
    const { id } = await newKey(service, user);
    const client = keysOf(service, user);
    for (const seconds of [-1n, 2_592_001n]) {
      const refused = await refusal(client.rotateApiKey({ apiKeyId: id, overlap: { seconds } }));
      assert.deepEqual(refused.fields, ['overlap']);
    }
    await client.revokeApiKey({ apiKeyId: id });
    const rotated = await refusal(client.rotateApiKey({ apiKeyId: id }));
    assert.deepEqual([rotated.code, rotated.reason], [Code.FailedPrecondition, 'API_KEY_REVOKED']);
    const updated = client.updateApiKey({ apiKey: { apiKeyId: id, displayName: 'x' } });
    assert.equal((await refusal(updated)).reason, 'API_KEY_REVOKED');
  });
});

describe('RevokeApiKey', () => {
  it('S09 ends a key on every replica, for ever, and is idempotent', async () => {
    const { id, secret } = await newKey(service, user);
    for (const at of [service, replica]) assert.equal((await verify(at, secret)).valid, true);
    const client = keysOf(service, user);
    await client.revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(secret), ApiKeyReason.REVOKED);
    await eventually(async () => (await reasonOf(secret, replica)) === ApiKeyReason.REVOKED, 1000);
    await Promise.all(
      [service, replica].map((at) => keysOf(at, user).revokeApiKey({ apiKeyId: id })),
    );
    const types = (await eventsOf(id)).map(({ type }) => type);
    assert.deepEqual(types, ['api_key.created', 'api_key.revoked']);
    const restarted = await startReplica(service);
    assert.equal(await reasonOf(secret, restarted), ApiKeyReason.REVOKED);
    const { apiKey } = await client.getApiKey({ apiKeyId: id });
    assert.ok(apiKey?.revokedAt);
  });

  it("ends nobody another's, but who has api_keys.write", async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    const refused = await refusal(keysOf(service, user).revokeApiKey({ apiKeyId: id }));
    assert.equal(refused.code, Code.NotFound);
    assert.equal((await verify(service, secret)).valid, true);
    await keysOf(service, admin).revokeApiKey({ apiKeyId: id });
    assert.equal(await reasonOf(secret), ApiKeyReason.REVOKED);
  });

  it('C13 S09 happens to all keys of an account that is deleted', async () => {
    const someone = await person(service);
    const { id, secret } = await newKey(service, someone);
    assert.equal((await verify(replica, secret)).valid, true);
    const account = service.client(AccountService, 'grpc', someone.accessToken);
    assert.match((await account.exportMe({})).json, new RegExp(`"api_key_id": "${id}"`));
    await account.deleteMe({});
    for (const at of [service, replica]) {
      await eventually(async () => (await reasonOf(secret, at)) === ApiKeyReason.REVOKED, 1000);
    }
    const [row] = await sql<{ display_name: string; last_used_address: string | null }>(
      service.databaseUrl,
      'select display_name, last_used_address from api_keys where id = $1',
      [id],
    );
    assert.deepEqual(row, { display_name: '', last_used_address: null });
  });
});
