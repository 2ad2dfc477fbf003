import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/platform/failure.ts';
import { nameServers } from '../../src/webhooks/target-names.ts';
import { TargetRefused, WebhookTargets } from '../../src/webhooks/webhook-targets.ts';
import { startNameServer } from './name-server.ts';

const CLOSED = { allowedNetworks: [], allowedPorts: [], allowHttp: false };
const PUBLIC = '93.184.215.14';

function targets(rules: Partial<ConstructorParameters<typeof WebhookTargets>[0]> = {}) {
  return new WebhookTargets({ ...CLOSED, ...rules }, async () => [PUBLIC]);
}

function refusal(kind: TargetRefused['kind'] = 'target_forbidden') {
  return (error: unknown) => error instanceof TargetRefused && error.kind === kind;
}

/** Every way to write 127.0.0.1 and its like as the host of a URL. */
const NOTATIONS = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.0.0.1..',
  '127.1',
  '127.0.1',
  '2130706433',
  '2130706433.',
  '0x7f000001',
  '0X7F.0.0.1',
  '0x7f.1',
  '017700000001',
  '0177.0.0.01',
  '0177.0x0.1',
  '127.255.255.254',
  '%31%32%37.0.0.1',
  '127%2e0%2e0%2e1',
  '①②⑦.0.0.1',
  '１２７.０.０.１',
  '127。0。0。1',
  '127．0．0．1',
  '𝟏𝟐𝟕.0.0.1',
  '127.0.0.1%2e',
  '1\u00ad27.0.0.1',
  '0',
  '0.0.0.0',
  '0x0',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::FFFF:7F00:0001]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2002:7f00:1::1]',
  '[2001:0:7f00:1::]',
  '[2001::80ff:fffe]',
  '[fe80::1]',
  '[fec0::1]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'hooks.localhost',
];

/** The first and the last address of each closed network. */
const CLOSED_ADDRESSES = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.0', '127.255.255.255'],
  ['169.254.0.0', '169.254.255.255'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.0', '192.0.0.255'],
  ['192.0.2.0', '192.0.2.255'],
  ['192.88.99.0', '192.88.99.255'],
  ['192.168.0.0', '192.168.255.255'],
  ['198.18.0.0', '198.19.255.255'],
  ['198.51.100.0', '198.51.100.255'],
  ['203.0.113.0', '203.0.113.255'],
  ['224.0.0.0', '255.255.255.255'],
  ['168.63.129.16', '168.63.129.16'],
  ['::', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2620:4f:8000::', '2620:4f:8000:ffff:ffff:ffff:ffff:ffff'],
  ['3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['4000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
].flat();

/** The neighbours of those networks that belong to the Internet. */
const OPEN_ADDRESSES = [
  ['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0'],
  ['126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255'],
  ['172.32.0.0', '191.255.255.255', '192.0.1.0', '192.0.3.0', '192.88.98.255', '192.88.100.0'],
  ['192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '198.51.99.255'],
  ['198.51.101.0', '203.0.112.255', '203.0.114.0', '223.255.255.255', '168.63.129.15'],
  ['2000::', '2001:200::', '2001:db7:ffff::', '2001:db9::', '2003::', '2620:4f:7fff:ffff::'],
  ['2620:4f:8001::', '3ffe:ffff::', '3fff:1000::', '2606:4700:4700::1111'],
].flat();

const inUrl = (address: string) => (address.includes(':') ? `[${address}]` : address);

describe('the address of a target', () => {
  for (const host of NOTATIONS) {
    it(`E04 is not this machine, written as ${host}`, async () => {
      await assert.rejects(targets().check(`https://${host}/hook`), refusal());
    });
  }

  it('E04 is in no closed network, from its first address to its last', async () => {
    for (const address of CLOSED_ADDRESSES) {
      await assert.rejects(targets().check(`https://${inUrl(address)}/`), refusal(), address);
      const named = new WebhookTargets(CLOSED, async () => [address]);
      await assert.rejects(named.check('https://example.com/'), refusal(), `named: ${address}`);
    }
  });

  it('may be any other of the Internet', async () => {
    for (const address of OPEN_ADDRESSES) {
      const target = await targets().check(`https://${inUrl(address)}/`);
      assert.deepEqual(target.addresses, [new URL(target.url).hostname.replace(/[[\]]/g, '')]);
    }
  });

  it('E04 has no zone, and nothing that is no address passes for one', async () => {
    for (const answer of ['fe80::1%lo', '2606:4700::1%lo', '', '127.1', 'localhost', '08.8.8.8']) {
      const named = new WebhookTargets(CLOSED, async () => [answer]);
      await assert.rejects(named.check('https://example.com/'), refusal(), answer);
    }
  });
});

describe('COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS', () => {
  const check = (allowed: string[], address: string) =>
    targets({ allowedNetworks: allowed }).check(`https://${inUrl(address)}/`);

  it('opens networks, and no more than those', async () => {
    await check(['10.1.0.0/16'], '10.1.255.255');
    await check(['fd12::/16'], 'fd12::1');
    await check(['127.0.0.1'], '127.0.0.1');
    await check(['::1'], '::1');
    await assert.rejects(check(['10.1.0.0/16'], '10.2.0.0'), refusal());
    await assert.rejects(check(['127.0.0.1'], '127.0.0.2'), refusal());
    await assert.rejects(check(['127.0.0.1'], '::1'), refusal());
    await assert.rejects(check(['127.0.0.0/8'], '::ffff:127.0.0.1'), refusal());
  });

  it('E04 opens an address that hands out credentials only by its own entry', async () => {
    const everything = ['0.0.0.0/0', '::/0'];
    for (const address of [
      '169.254.169.254',
      '169.254.170.2',
      '168.63.129.16',
      '100.100.100.200',
      '192.0.0.192',
      'fd00:ec2::254',
      'fd20:ce::254',
    ]) {
      await assert.rejects(check(everything, address), refusal(), address);
      await check([address], address);
      await check([`${address}/${address.includes(':') ? 128 : 32}`], address);
    }
  });

  it('E04 opens an address that carries an IPv4 address only together with that', async () => {
    for (const [metadata, local, open] of [
      ['::ffff:169.254.169.254', '::ffff:127.0.0.1', '::ffff:8.8.8.8'],
      ['::169.254.169.254', '::127.0.0.1', '::8.8.8.8'],
      ['::ffff:0:169.254.169.254', '::ffff:0:127.0.0.1', '::ffff:0:8.8.8.8'],
      ['64:ff9b::a9fe:a9fe', '64:ff9b::7f00:1', '64:ff9b::808:808'],
      ['64:ff9b:1::a9fe:a9fe', '64:ff9b:1::7f00:1', '64:ff9b:1::808:808'],
      ['2002:a9fe:a9fe::1', '2002:7f00:1::1', '2002:808:808::1'],
      ['2001::5601:5601', '2001::80ff:fffe', '2001::f7f7:f7f7'],
    ] as const) {
      await assert.rejects(check(['::/0'], metadata), refusal(), metadata);
      await assert.rejects(check(['::/0', '0.0.0.0/0'], metadata), refusal(), metadata);
      await assert.rejects(check(['::/0'], local), refusal(), local);
      await check(['::/0', '127.0.0.0/8'], local);
      await check(['::/0'], open);
    }
  });
});

describe('the URL of a target', () => {
  it('is https on port 443 or 8443, and returned as the parser writes it', async () => {
    const written = await targets().require('HTTPS://Example.COM.:443/a/../b?c=d', 'url');
    assert.equal(written, 'https://example.com/b?c=d');
    assert.equal((await targets().check('https://example.com:8443/')).port, 8443);
    assert.equal((await targets().check('https://bücher.example/')).host, 'xn--bcher-kva.example');
  });

  for (const url of [
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'data:,',
    'example.com',
    '',
    'https://',
    'https://example.com:80/',
    'https://example.com:25/',
    'https://example.com:5432/',
    'https://user@example.com/',
    'https://:password@example.com/',
    'https://example.com@127.0.0.1/',
    'https://example.com/#fragment',
    'https://example.com/#',
    'https://example.com../',
    'https://ex ample.com/',
    'https://example.com%00.evil.test/',
    'https://[fe80::1%25eth0]/',
    'https://[::1%lo]/',
    'https://[::ffff:7f00:1%1]/',
    `https://example.com/${'a'.repeat(2000)}`,
  ]) {
    it(`E04 is not ${url.slice(0, 60)}`, async () => {
      await assert.rejects(targets().check(url), refusal());
    });
  }

  it('may be http, and on other ports, if that is set', async () => {
    assert.equal((await targets({ allowHttp: true }).check('http://example.com/')).port, 80);
    await targets({ allowedPorts: [9443] }).check('https://example.com:9443/');
    await assert.rejects(targets({ allowHttp: true }).check('http://example.com:443/'), refusal());
    await assert.rejects(targets({ allowedPorts: [80] }).check('http://example.com/'), refusal());
  });
});

describe('the name of a target', () => {
  const answers: Record<string, readonly string[] | 'broken'> = {
    'good.test': [PUBLIC, '2606:4700:4700::1111'],
    'mixed.test': [PUBLIC, '10.0.0.1'],
    'mixed6.test': [PUBLIC, '::ffff:7f00:1'],
    'aaaa.test': [PUBLIC, 'fd00::1'],
    'a.test': ['2606:4700:4700::1111', '127.0.0.1'],
    'down.test': 'broken',
  };
  const asked = async () => {
    const server = await startNameServer((name) => answers[name] ?? []);
    return new WebhookTargets(CLOSED, nameServers([server]));
  };

  it('gives all of its addresses, which are the ones to connect to', async () => {
    const { addresses } = await (await asked()).check('https://good.test/');
    assert.deepEqual(addresses, answers['good.test']);
  });

  it('E04 is refused if any of its addresses is closed, of either family', async () => {
    const targets = await asked();
    for (const name of ['mixed.test', 'mixed6.test', 'aaaa.test', 'a.test']) {
      await assert.rejects(targets.check(`https://${name}/`), refusal(), name);
    }
  });

  it('is refused in registration without telling what it resolves to', async () => {
    const targets = await asked();
    const failure = async (url: string) => {
      const error = await targets.require(url, 'url').catch((thrown) => thrown);
      assert.ok(error instanceof Failure);
      return { kind: error.kind, message: error.message };
    };
    const closed = await failure('https://mixed.test/');
    assert.equal(closed.kind, 'invalid');
    assert.doesNotMatch(closed.message, /10\.0/);
    assert.deepEqual(await failure('https://a.test/'), closed);
    assert.equal((await failure('https://nobody.test/')).kind, 'invalid');
    assert.equal((await failure('https://down.test/')).kind, 'unavailable');
  });
});
