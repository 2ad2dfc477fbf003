import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { RateTiers } from '../../src/access/rate-tiers.ts';
import { person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { holds, observe } from './call-table.ts';
import { DIALECTS, type Dialect, type Got } from './wire.ts';

/** 30 calls a minute. Its empty request is refused after it has been counted, and hashes nothing. */
const { login: method } = AuthService.method;
const ALLOWED = 30;

/** The counts of a run are in one Redis: each test calls from an address of its own. */
const newAddress = () => `127.${octet()}.${octet()}.${octet()}`;
const octet = () => 1 + Math.floor(Math.random() * 250);

describe('a rate limit', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    const env = { COUNTERSIGN_RATE_LIMITS: 'on', COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1' };
    service = await startService({ env });
    replica = await startReplica(service);
  });

  const reasonOf = async (from: string, headers = {}, at = service, dialect: Dialect = 'grpc') =>
    (await observe(at, dialect, { method, from, headers })).refused?.reason;

  async function use(calls: number, from: string, headers = {}, at = service): Promise<void> {
    const all = Array.from({ length: calls }, (_, i) =>
      reasonOf(from, headers, at, DIALECTS[i % DIALECTS.length]),
    );
    for (const reason of await Promise.all(all)) assert.equal(reason, 'INVALID_REQUEST');
  }

  it('W10 counts by address over all protocols, and then says when to retry', async () => {
    const from = newAddress();
    await use(ALLOWED, from);
    await holds(service, {
      method,
      from,
      refused: { code: Code.ResourceExhausted, reason: 'RATE_LIMITED', retry: true },
    });
    for (const dialect of DIALECTS) {
      const { refused, got } = await observe(service, dialect, { method, from });
      const waitMs = refused?.retryAfterMs ?? 0;
      assert.ok(waitMs > 0 && waitMs <= 60_000, `${dialect} ${waitMs}`);
      if (dialect === 'grpc') {
        assert.equal(got.header.get('grpc-retry-pushback-ms'), String(waitMs));
      }
      if (!dialect.startsWith('connect')) continue;
      assert.equal(got.status, 429);
      assert.equal(got.header.get('retry-after'), String(Math.ceil(waitMs / 1000)));
    }
    assert.equal(await reasonOf(newAddress()), 'INVALID_REQUEST');
  });

  it('W10 is shared by replicas', async () => {
    const from = newAddress();
    await use(ALLOWED / 2, from);
    await use(ALLOWED / 2, from, {}, replica);
    assert.equal(await reasonOf(from), 'RATE_LIMITED');
    assert.equal(await reasonOf(from, {}, replica), 'RATE_LIMITED');
  });

  it('W10 counts an IPv6 /64 network as one address', async () => {
    const site = `2001:db8:${octet().toString(16)}`;
    const network = `${site}:a${octet()}`;
    const by = (address: string) => ({ 'x-forwarded-for': address });
    await use(ALLOWED / 2, '127.0.0.1', by(`${network}::1`));
    await use(ALLOWED / 2, '127.0.0.1', by(`${network.toUpperCase()}:ffff:0:0:2`));
    assert.equal(await reasonOf('127.0.0.1', by(`${network}:1:2:3:4`)), 'RATE_LIMITED');
    assert.equal(await reasonOf('127.0.0.1', by(`${site}:b::1`)), 'INVALID_REQUEST');
  });

  it('W10 counts a link-local address, whatever the name of its interface', async () => {
    for (const zone of ['eth0', 'br-12ab', 'eth0.100']) {
      const headers = { 'x-forwarded-for': `fe80::${octet().toString(16)}%${zone}` };
      assert.equal(await reasonOf('127.0.0.1', headers), 'INVALID_REQUEST');
    }
  });

  it('W10 is not escaped by X-Forwarded-For', async () => {
    const from = newAddress();
    for (let call = 0; call < ALLOWED; call += 1) {
      await use(1, from, { 'x-forwarded-for': `203.0.113.${call}` });
    }
    assert.equal(await reasonOf(from, { 'x-forwarded-for': '203.0.113.99' }), 'RATE_LIMITED');
  });

  it('W10 is not escaped by a report without an address, and counts no caller under the proxy', async () => {
    const from = newAddress();
    const proxied = await startReplica(service, {
      env: { COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.0/8' },
    });
    const nobody = [
      { 'x-forwarded-for': 'unknown' },
      { 'x-forwarded-for': '' },
      { forwarded: 'for=_hidden' },
      { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=198.51.100.1' },
    ];
    for (let call = 0; call < ALLOWED; call += 1) await use(1, from, nobody[call % 4], proxied);
    for (const headers of nobody) {
      assert.equal(await reasonOf(from, headers, proxied), 'RATE_LIMITED');
    }
    assert.equal(await reasonOf(from, {}, proxied), 'INVALID_REQUEST');
  });

  it('is counted separately for each policy', async () => {
    const from = newAddress();
    await use(ALLOWED, from);
    assert.equal(await reasonOf(from), 'RATE_LIMITED');
    const { refused } = await observe(service, 'grpc', {
      method: AuthService.method.refreshToken,
      from,
    });
    assert.equal(refused?.reason, 'INVALID_REQUEST');
  });

  /** Errors of gRPC-Web have their metadata in the body. */
  const told = ({ header, error }: Got, name: string) =>
    header.get(name) ?? error?.metadata.get(name) ?? '';

  it('W10 tells in headers what the limit is and what is left of it, refused or not', async () => {
    for (const dialect of DIALECTS) {
      const from = newAddress();
      for (const left of [29, 28]) {
        const { got } = await observe(service, dialect, { method, from });
        assert.equal(told(got, 'ratelimit-policy'), '"credentials";q=30;w=60', dialect);
        assert.match(told(got, 'ratelimit'), new RegExp(`^"credentials";r=${left};t=\\d+$`));
      }
      await use(ALLOWED - 2, from);
      const { refused, got } = await observe(service, dialect, { method, from });
      assert.equal(refused?.reason, 'RATE_LIMITED');
      assert.match(told(got, 'ratelimit'), /^"credentials";r=0;t=\d+$/, dialect);
    }
  });

  it('W10 tells it of calls that succeed too, and nothing of those that are not limited', async () => {
    const { accessToken } = await person(service);
    const headers = { authorization: `Bearer ${accessToken}` };
    for (const dialect of DIALECTS) {
      const limited = { method: AuthService.method.listProviders, headers };
      const free = { method: AccountService.method.getMe, headers };
      const policy = (await observe(service, dialect, limited)).got.header.get('ratelimit-policy');
      assert.equal(policy, '"tokens";q=300;w=60', dialect);
      assert.equal((await observe(service, dialect, free)).got.header.has('ratelimit'), false);
    }
  });
});

describe('a rate limit by principal', () => {
  let service: Service;
  let replica: Service;
  const { updateMe } = AccountService.method;

  before(async () => {
    const env = {
      COUNTERSIGN_RATE_LIMITS: 'on',
      COUNTERSIGN_RATE_LIMIT_TIERS: 'users=5,role:auditor=8',
    };
    service = await startService({ env });
    replica = await startReplica(service);
  });

  /** How many of so many calls were not refused by a limit, each from an address of its own. */
  async function allowed(calls: number, accessToken: string, from = newAddress): Promise<number> {
    const headers = { authorization: `Bearer ${accessToken}` };
    const all = Array.from({ length: calls }, (_, i) =>
      observe(i % 2 ? replica : service, 'grpc', { method: updateMe, headers, from: from() }),
    );
    const answers = await Promise.all(all);
    return answers.filter(({ refused }) => refused?.reason !== 'RATE_LIMITED').length;
  }

  it('W10 counts a principal from whatever addresses, and others on one of them apart', async () => {
    const [one, other] = [await person(service), await person(service)];
    assert.equal(await allowed(9, one.accessToken), 5);
    const address = newAddress();
    assert.equal(await allowed(1, one.accessToken, () => address), 0);
    assert.equal(await allowed(5, other.accessToken, () => address), 5);
  });

  it('W10 gives a role its tier', async () => {
    const { accessToken } = await person(service, 'user', 'auditor');
    assert.equal(await allowed(12, accessToken), 8);
  });

  it('W10 counts callers without a good credential by their address', async () => {
    const from = newAddress();
    const headers = { authorization: 'Bearer nonsense' };
    const { got } = await observe(service, 'connect json', { method: updateMe, headers, from });
    assert.match(got.header.get('ratelimit') ?? '', /^"tokens";r=299;/);
  });
});

describe('tiers of rate limits', () => {
  const ID = '01890000-0000-7000-8000-000000000001';
  const tiers = RateTiers.read(
    `users=10, role:support=30,role:intern=5,service_accounts=50,${ID}=7`,
  );
  const user = { type: 'user', subject: 'someone', ownerRoles: ['user'] } as const;

  it('W10 lets the id decide, and then the most that kind and roles give', () => {
    assert.equal(tiers?.of(user), 10);
    assert.equal(tiers?.of({ ...user, ownerRoles: ['intern'] }), 10);
    assert.equal(tiers?.of({ ...user, ownerRoles: ['intern', 'support'] }), 30);
    assert.equal(tiers?.of({ ...user, type: 'service_account' }), 50);
    assert.equal(tiers?.of({ ...user, ownerRoles: ['support'], subject: ID }), 7);
    assert.equal(RateTiers.read('role:support=30')?.of(user), undefined);
    assert.equal(RateTiers.read('')?.of(user), undefined);
  });

  it('are not read if one of them is malformed', () => {
    for (const text of [
      'users',
      'users=',
      'users=0',
      'users=-1',
      'people=5',
      'role:=5',
      'a b=5',
      'constructor=5',
    ]) {
      assert.equal(RateTiers.read(text), undefined, text);
    }
  });
});
