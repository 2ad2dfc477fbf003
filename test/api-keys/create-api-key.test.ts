import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { eventsOfKey, keysOf, newKey } from './keys.ts';

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

const seconds = (ms: number) => ({ seconds: BigInt(Math.ceil(ms / 1000)) });
const fromNow = (ms: number) => seconds(service.clock.now().getTime() + ms);

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

  it('creates what was asked for, and records it', async () => {
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
    assert.deepEqual(await eventsOfKey(service, id), [
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

  it('refuses networks that cannot be read, and an expiry that is not in the future', async () => {
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

  it('allows an owner 100 working keys, and no more by two calls at once', async () => {
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
