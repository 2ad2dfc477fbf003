import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { holds, type Row } from './call-table.ts';

const { introspectToken: method } = SessionService.method;
const missing = { code: Code.Unauthenticated, reason: 'CREDENTIALS_MISSING' };

describe('the address of a caller', () => {
  let direct: Service;
  let proxied: Service;

  before(async () => {
    direct = await startService({ env: { COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1,10.0.0.0/8' } });
    proxied = await startService({
      env: {
        COUNTERSIGN_TRUSTED_CALLERS: '10.0.0.0/8,fd00::/8',
        COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1,192.0.2.0/24',
      },
    });
  });

  const forwarded = (address: string, value: string | string[]): Partial<Row> => ({
    headers: { 'x-forwarded-for': value },
    logged: { address },
  });

  it('opens the methods it is trusted for, without a credential', async () => {
    await holds(direct, { method });
    await holds(direct, { method, from: '127.0.0.2', refused: missing });
  });

  it('is not trusted if the call carries a bad credential', async () => {
    await holds(direct, {
      method,
      headers: { authorization: 'Bearer bad' },
      refused: { code: Code.Unauthenticated, reason: 'TOKEN_INVALID' },
    });
  });

  it('is not trusted if the call carries a good credential that does not suffice', async () => {
    const { accessToken } = await signedIn(direct);
    await holds(direct, {
      method,
      headers: { authorization: `Bearer ${accessToken}` },
      refused: { code: Code.PermissionDenied, reason: 'PERMISSION_DENIED' },
    });
  });

  it('W10 is not what X-Forwarded-For says unless a trusted proxy says it', async () => {
    const row = forwarded('127.0.0.2', '10.0.0.1');
    await holds(direct, { method, from: '127.0.0.2', ...row, refused: missing });
  });

  it('is not certain if a stranger stands in between, so that it opens nothing', async () => {
    for (const headers of [{ 'x-forwarded-for': '10.0.0.1' }, { forwarded: 'for=10.0.0.1' }]) {
      await holds(direct, { method, headers, refused: missing });
    }
  });

  it('W10 is what a trusted proxy says', async () => {
    await holds(proxied, { method, ...forwarded('10.1.2.3', '10.1.2.3') });
    await holds(proxied, { method, ...forwarded('fd00::1', 'fd00::1') });
    await holds(proxied, { method, ...forwarded('10.1.2.3', '::ffff:10.1.2.3') });
    await holds(proxied, { method, ...forwarded('203.0.113.7', '203.0.113.7'), refused: missing });
  });

  it('is the last one that is not a trusted proxy, whatever callers put before it', async () => {
    const chain = forwarded('203.0.113.7', '10.0.0.1, 203.0.113.7, 192.0.2.1');
    await holds(proxied, { method, ...chain, refused: missing });
    await holds(proxied, { method, ...forwarded('10.0.0.1', '203.0.113.7, 10.0.0.1,192.0.2.9') });
    const lines = forwarded('203.0.113.7', ['10.0.0.1', '203.0.113.7']);
    await holds(proxied, { method, ...lines, refused: missing });
  });

  it('is that of the connection if the proxy says nothing', async () => {
    await holds(proxied, { method, refused: missing });
  });
});

/** What a trusted proxy may send, and the address that it names; undefined: nobody's. */
const REPORTS: readonly [Record<string, string | string[]>, string | undefined][] = [
  [{ 'x-forwarded-for': '203.0.113.9:51234' }, '203.0.113.9'],
  [{ 'x-forwarded-for': '[2001:DB8:0::9]:443' }, '2001:db8::9'],
  [{ 'x-forwarded-for': '[2001:db8::9]' }, '2001:db8::9'],
  [{ 'x-forwarded-for': '::ffff:cb00:7109' }, '203.0.113.9'],
  [{ 'x-forwarded-for': '127.0.0.1, 203.0.113.9:1, 127.0.0.1:80' }, '203.0.113.9'],
  [{ forwarded: 'for=203.0.113.9' }, '203.0.113.9'],
  [{ forwarded: 'For="[2001:db8::9]:4711";proto=https' }, '2001:db8::9'],
  [{ forwarded: 'by=127.0.0.1; for="203.0.113.9:_port" ;host="a,b"' }, '203.0.113.9'],
  [{ forwarded: ['for=127.0.0.1;x="', 'for=203.0.113.9'] }, '203.0.113.9'],
  [{ forwarded: 'for=127.0.0.1, for=203.0.113.9, for="127.0.0.1:80"' }, '203.0.113.9'],
  [{ 'x-forwarded-for': '203.0.113.9', forwarded: 'for="203.0.113.9:1"' }, '203.0.113.9'],
  [{ 'x-forwarded-for': 'unknown' }, undefined],
  [{ 'x-forwarded-for': '' }, undefined],
  [{ 'x-forwarded-for': ',' }, undefined],
  [{ 'x-forwarded-for': '127.0.0.1, x' }, undefined],
  [{ 'x-forwarded-for': 'unknown, 127.0.0.1' }, undefined],
  [{ 'x-forwarded-for': '127.0.0.1:x' }, undefined],
  [{ 'x-forwarded-for': '[127.0.0.1]' }, undefined],
  [{ 'x-forwarded-for': 'fe80::1%eth0' }, undefined],
  [{ forwarded: '' }, undefined],
  [{ forwarded: 'for=unknown' }, undefined],
  [{ forwarded: 'for=_hidden' }, undefined],
  [{ forwarded: 'proto=https' }, undefined],
  [{ forwarded: 'for=127.0.0.1;for=127.0.0.1' }, undefined],
  [{ forwarded: 'for="127.0.0.1' }, undefined],
  [{ forwarded: '127.0.0.1' }, undefined],
  [{ 'x-forwarded-for': '127.0.0.1', forwarded: 'for=unknown' }, undefined],
];

describe('the report of a proxy that is a trusted caller itself', () => {
  const LOOPBACK = '127.0.0.1';
  let service: Service;

  before(async () => {
    service = await startService({
      env: {
        COUNTERSIGN_TRUSTED_CALLERS: '127.0.0.1,203.0.113.9,2001:db8::9',
        COUNTERSIGN_TRUSTED_PROXIES: LOOPBACK,
      },
    });
  });

  for (const [headers, address] of REPORTS) {
    it(`W10 ${JSON.stringify(headers)} is ${address ?? 'nobody'}`, async () => {
      const recorded = address ?? (headers['x-forwarded-for'] === LOOPBACK ? LOOPBACK : '');
      const row = { method, headers, logged: { address: recorded } };
      await holds(service, address === undefined ? { ...row, refused: missing } : row);
    });
  }

  it('W10 opens nothing if two headers name two addresses', async () => {
    for (const [xff, other] of [
      ['203.0.113.9', '198.51.100.1'],
      ['198.51.100.1', '203.0.113.9'],
    ] as const) {
      const headers = { 'x-forwarded-for': xff, forwarded: `for=${other}` };
      await holds(service, { method, headers, logged: { address: xff }, refused: missing });
    }
  });
});
