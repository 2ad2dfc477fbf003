import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { holds, observe } from './call-table.ts';
import { DIALECTS, type Dialect } from './wire.ts';

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
});
