import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { toJsonString } from '@bufbuild/protobuf';
import { type ApiKey, ApiKeySchema } from '../../gen/countersign/v1/api_key_pb.ts';
import { ApiKeyReason, ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { keysOf, newKey, reasonOf, verify } from './keys.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A secret with a right checksum, computed as docs/api-keys.md says. */
function withChecksum(body: string): string {
  let rest = crc32(body);
  let digits = '';
  while (digits.length < 6) {
    digits = ALPHABET.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return body + digits;
}

let service: Service;
let replica: Service;
let owner: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  owner = await person(service, 'user', 'admin');
});

describe('VerifyApiKey', () => {
  for (const protocol of PROTOCOLS) {
    it(`says by ${protocol} whose a key is, and what it may do`, async () => {
      const { id, secret } = await newKey(service, owner, { scopes: ['users.read', 'audit.read'] });
      const client = service.client(ApiKeyService, protocol);
      for (const round of ['first', 'known']) {
        const answer = await client.verifyApiKey({ secret });
        assert.deepEqual([answer.valid, answer.reason], [true, 0], round);
        const { $typeName: _, ...principal } = { ...answer.principal };
        assert.deepEqual(principal, {
          type: 1,
          subject: owner.userId,
          sessionId: '',
          apiKeyId: id,
          actors: [],
          emailVerified: true,
          roles: [],
          permissions: ['users.read', 'audit.read'],
          scopes: ['users.read', 'audit.read'],
          amr: [],
          identityProvider: '',
        });
        assert.equal(answer.expiresAt, undefined);
      }
    });
  }

  it('A02 A07 gives the same answer whatever is wrong with a secret, and logs what it is', async () => {
    const { secret } = await newKey(service, owner);
    const other = await newKey(service, owner);
    const body = secret.slice(0, -6);
    const altered = (at: number) =>
      body.slice(0, at) + (body[at] === 'A' ? 'B' : 'A') + body.slice(at + 1);
    const bad = {
      nothing: '',
      garbage: 'garbage',
      'a long text': 'x'.repeat(60_000),
      'cut off': secret.slice(0, -1),
      'a little longer': `${secret}0`,
      'another prefix': `csr_${secret.slice(4)}`,
      'in another case': secret.toUpperCase(),
      mistyped: altered(40) + secret.slice(-6),
      'a wrong checksum': `${body}${secret.endsWith('0') ? '1' : '0'}`.padEnd(64, '0'),
      'a secret of another key': withChecksum(other.secret.slice(0, 26) + secret.slice(26, 58)),
      'a guess at the secret': withChecksum(altered(40)),
      'a guess at the id': withChecksum(altered(20)),
      'an id that is none': withChecksum(`csk_${'z'.repeat(54)}`),
      'a refresh token': owner.refreshToken,
      'an access token': owner.accessToken,
      'with a space': ` ${secret}`,
    };
    for (const [what, text] of Object.entries(bad)) {
      const answer = await verify(service, text);
      assert.deepEqual(answer, { valid: false, reason: ApiKeyReason.UNKNOWN_KEY }, what);
    }
    assert.equal((await verify(service, secret)).valid, true);
  });

  it('S11 A02 keeps nothing that reveals a secret, and shows it once', async () => {
    const { id, secret } = await newKey(service, owner);
    const rows = await sql<{ row: string }>(
      service.databaseUrl,
      'select k::text as row from api_keys k where id = $1',
      [id],
    );
    const random = secret.slice(26, 58);
    const row = rows[0]?.row ?? '';
    assert.ok(row.includes(id));
    for (const text of [random, Buffer.from(random).toString('hex')])
      assert.ok(!row.includes(text));
    const { apiKey } = await keysOf(service, owner).getApiKey({ apiKeyId: id });
    assert.ok(!toJsonString(ApiKeySchema, apiKey as ApiKey).includes(random));
    assert.equal(apiKey?.prefix, secret.slice(0, 26));
  });

  it('issues secrets in the form that scanners look for', async () => {
    const { secret } = await newKey(service, owner);
    assert.match(secret, /^csk_[0-9A-Za-z]{60}$/);
    assert.equal(withChecksum(secret.slice(0, -6)), secret);
  });

  it('checks all scopes that are required', async () => {
    const { secret } = await newKey(service, owner, { scopes: ['users.read', 'audit.read'] });
    const both = await verify(service, { secret, requiredScopes: ['users.read', 'audit.read'] });
    assert.equal(both.valid, true);
    for (const requiredScopes of [['users.write'], ['users.read', 'roles.read'], ['users']]) {
      const answer = await verify(service, { secret, requiredScopes });
      assert.deepEqual([answer.valid, answer.reason], [false, ApiKeyReason.SCOPE_MISSING]);
      assert.equal(answer.principal?.subject, owner.userId);
    }
  });

  it('A01 gives a key no more than its owner may at that moment', async () => {
    const someone = await person(service, 'user', 'admin');
    const { secret } = await newKey(service, someone, { scopes: ['users.read'] });
    assert.deepEqual((await verify(replica, secret)).principal?.scopes, ['users.read']);
    const { email } = someone;
    await sql(service.databaseUrl, `update accounts set roles = '{user}' where email = $1`, [
      email,
    ]);
    for (const at of [service, replica]) {
      await eventually(async () => (await verify(at, secret)).principal?.scopes.length === 0);
      const answer = await verify(at, { secret, requiredScopes: ['users.read'] });
      assert.equal(answer.reason, ApiKeyReason.SCOPE_MISSING);
    }
    await sql(service.databaseUrl, `update accounts set roles = '{admin}' where email = $1`, [
      email,
    ]);
    await eventually(async () => (await verify(replica, secret)).principal?.scopes.length === 1);
  });

  it('S09 refuses the keys of a suspended owner on every replica, and accepts them again later', async () => {
    const someone = await person(service);
    const { secret } = await newKey(service, someone);
    for (const at of [service, replica]) assert.equal((await verify(at, secret)).valid, true);
    const set = (state: string) =>
      sql(service.databaseUrl, 'update accounts set state = $2 where email = $1', [
        someone.email,
        state,
      ]);
    await set('suspended');
    for (const at of [service, replica]) {
      await eventually(async () => (await reasonOf(at, secret)) === ApiKeyReason.OWNER_INACTIVE);
    }
    await set('active');
    for (const at of [service, replica]) {
      await eventually(async () => (await verify(at, secret)).valid);
    }
  });

  it('A03 says EXPIRED from that moment on', async () => {
    const at = new Date(service.clock.now().getTime() + 60_000);
    const seconds = Math.ceil(at.getTime() / 1000);
    const { secret } = await newKey(service, owner, { expiresAt: { seconds: BigInt(seconds) } });
    const answer = await verify(service, secret);
    assert.deepEqual([answer.valid, Number(answer.expiresAt?.seconds)], [true, seconds]);
    service.clock.advance(62_000);
    assert.deepEqual(await verify(service, secret), { valid: false, reason: ApiKeyReason.EXPIRED });
  });

  it('A03 accepts a key only from its networks, in any notation', async () => {
    const allowedCidrs = ['192.0.2.0/24', '2001:DB8::/32', '::ffff:198.51.100.7', '203.0.113.9/32'];
    const { secret, apiKey } = await newKey(service, owner, { allowedCidrs });
    assert.deepEqual(apiKey.allowedCidrs, [
      '192.0.2.0/24',
      '2001:db8::/32',
      '198.51.100.7',
      '203.0.113.9',
    ]);
    const from = async (ipAddress: string) => (await verify(service, { secret, ipAddress })).valid;
    const inside = [
      ...['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:0201', '0:0:0:0:0:ffff:192.0.2.255'],
      ...['2001:db8::1', '2001:0DB8:0:0::1', '198.51.100.7', '::ffff:198.51.100.7', '203.0.113.9'],
    ];
    for (const ipAddress of inside) assert.equal(await from(ipAddress), true, ipAddress);
    const outside = [
      '',
      '192.0.3.1',
      '::192.0.2.1',
      '2001:db9::1',
      '198.51.100.8',
      '1',
      'a',
      ':::',
    ];
    for (const ipAddress of outside) assert.equal(await from(ipAddress), false, ipAddress);
    const answer = await verify(service, { secret, ipAddress: '192.0.3.1' });
    assert.equal(answer.reason, ApiKeyReason.ADDRESS_NOT_ALLOWED);
  });

  it('asks neither the database nor Redis about a key that it knows, unless it must', async () => {
    const proxy = new TcpProxy(service.databaseUrl);
    atEnd(() => proxy.close());
    const env = { DATABASE_URL: await proxy.listen(service.databaseUrl) };
    const alone = await startReplica(service, {
      env: { ...env, REDIS_URL: 'redis://127.0.0.1:1' },
    });
    const { secret } = await newKey(service, owner);
    const other = await newKey(service, owner);
    assert.equal((await verify(alone, secret)).valid, true);
    proxy.down();
    assert.equal((await verify(alone, secret)).valid, true);
    const refused = await refusal(verify(alone, other.secret));
    assert.equal(refused.reason, 'DEPENDENCY_UNAVAILABLE');
  });

  it('names the fields that break their rules', async () => {
    const call = (request: object) => refusal(verify(service, { secret: 'x', ...request }));
    assert.deepEqual((await call({ cost: -1 })).fields, ['cost']);
    assert.deepEqual((await call({ ipAddress: 'localhost' })).fields, ['ip_address']);
    assert.deepEqual((await call({ requiredScopes: [''] })).fields, ['required_scopes[0]']);
  });
});

describe('VerifyApiKey, with another master key', () => {
  it('S11 accepts a secret that was hashed under an older key, and hashes it under the present one', async () => {
    const first = await startService();
    const { id, secret } = await newKey(first, await person(first));
    const old = first.env['COUNTERSIGN_MASTER_KEY'] ?? '';
    const next = `2:${Buffer.alloc(32, 5).toString('base64')}`;
    const env = { COUNTERSIGN_MASTER_KEY: `${next},1:${old.replace(/^1:/, '')}` };
    const rotated = await startReplica(first, { env });
    assert.equal((await verify(rotated, secret)).valid, true);
    await eventually(async () => {
      const [row] = await sql<{ version: number }>(
        first.databaseUrl,
        'select key_version as version from api_keys where id = $1',
        [id],
      );
      return row?.version === 2;
    });
    const again = await startReplica(first, { env });
    assert.equal((await verify(again, secret)).valid, true);
  });
});

describe('VerifyApiKey, its callers', () => {
  it('A07 need a credential if their network is not declared trusted', async () => {
    const strict = await startReplica(service, { env: { COUNTERSIGN_TRUSTED_CALLERS: '' } });
    const { secret } = await newKey(service, owner);
    const ask = (token?: string) =>
      strict.client(ApiKeyService, 'grpc', token).verifyApiKey({ secret });
    assert.equal((await refusal(ask())).reason, 'CREDENTIALS_MISSING');
    const nobody = await person(service);
    assert.equal((await refusal(ask(nobody.accessToken))).reason, 'PERMISSION_DENIED');
    assert.equal((await refusal(ask(secret))).reason, 'PERMISSION_DENIED');
    for (const scope of ['api_keys.verify', 'tokens.introspect']) {
      const caller = await newKey(service, owner, { scopes: [scope] });
      assert.equal((await ask(caller.secret)).valid, true, scope);
    }
    assert.equal((await ask(owner.accessToken)).valid, true);
  });
});
