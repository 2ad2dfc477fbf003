import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { before, describe, it } from 'node:test';
import { fromNetworks } from '../../src/http/metrics-endpoint.ts';
import { Metrics } from '../../src/platform/metrics.ts';
import { CallFactory } from '../../src/rpc/call.ts';
import { CallDurations } from '../../src/rpc/call-durations.ts';
import type { NodeRequest } from '../../src/rpc/connect/node-request.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

/** Of those that may be given to hosts of this machine. */
const PROXY = '127.0.0.9';
const READER = '127.0.0.1';

/** Asks for a path from an address of this machine. Returns the status. */
function ask(
  address: string,
  from: string,
  headers: IncomingHttpHeaders = {},
  path = '/metrics',
): Promise<number> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    request({ host, port, path, localAddress: from, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('who reads metrics', () => {
  let plain: Service;
  let behind: Service;
  let apart: Service;

  before(async () => {
    plain = await startService();
    const networks = { COUNTERSIGN_METRICS_NETWORKS: '10.1.0.0/16,fd12::/16' };
    behind = await startReplica(plain, {
      env: { ...networks, COUNTERSIGN_TRUSTED_PROXIES: `${PROXY}` },
    });
    apart = await startReplica(plain, { env: { COUNTERSIGN_METRICS_ADDR: '127.0.0.1:0' } });
  });

  it('is whoever is on the same machine, and not what a proxy on it asks for', async () => {
    const { httpAddress } = plain.app;
    assert.equal(await ask(httpAddress, READER), 200);
    const added = ['for', 'host', 'proto', 'port'].map((what) => `x-forwarded-${what}`);
    for (const header of ['forwarded', 'x-real-ip', 'via', ...added]) {
      assert.equal(await ask(httpAddress, READER, { [header]: READER }), 404, header);
    }
  });

  it('is an address of the configured networks, as far as a trusted proxy says so', async () => {
    const { httpAddress } = behind.app;
    const via = (from: string, address: string) =>
      ask(httpAddress, from, { 'x-forwarded-for': address });
    assert.equal(await via(PROXY, '10.1.2.3'), 200);
    assert.equal(await via(PROXY, 'fd12::7'), 200);
    assert.equal(await via(PROXY, '10.2.0.1'), 404);
    assert.equal(await via(PROXY, '10.1.2.3, 203.0.113.7'), 404);
    assert.equal(await via(PROXY, 'unknown'), 404);
    assert.equal(await via(READER, '10.1.2.3'), 404);
    assert.equal(await ask(httpAddress, PROXY, { via: '1.1 proxy' }), 404);
    const both = { 'x-forwarded-for': '10.1.2.3', forwarded: 'for=203.0.113.7' };
    assert.equal(await ask(httpAddress, PROXY, both), 404);
  });

  it('W10 is not who a proxy elsewhere says is on its own machine', () => {
    const isReader = fromNetworks(
      [],
      new CallFactory(['10.0.0.5', '127.0.0.9'], new CallDurations()),
    );
    const asks = (remoteAddress: string, address: string) =>
      isReader({
        socket: { remoteAddress },
        headers: { 'x-forwarded-for': address },
      } as unknown as NodeRequest);
    assert.equal(asks('10.0.0.5', '127.0.0.1'), false);
    assert.equal(asks('::ffff:10.0.0.5', '::1'), false);
    assert.equal(asks('127.0.0.9', '127.0.0.1'), true);
  });

  it('is whoever reaches the listener that metrics have to themselves', async () => {
    const { httpAddress, metricsAddress } = apart.app;
    assert.notEqual(metricsAddress, httpAddress);
    assert.equal(await ask(metricsAddress, READER), 200);
    assert.equal(await ask(httpAddress, READER), 404);
    assert.equal(await ask(metricsAddress, READER, {}, '/healthz'), 404);
  });
});

describe('many scrapes at once', () => {
  it('W15 read the metrics once', async () => {
    const metrics = new Metrics();
    let readings = 0;
    metrics.gauge({ name: 'readings', help: 'How often it was read.' }, () => {
      readings += 1;
      return [{ labels: {}, value: readings }];
    });
    const texts = await Promise.all(Array.from({ length: 500 }, () => metrics.text()));
    assert.equal(readings, 1);
    assert.equal(new Set(texts).size, 1);
    assert.match(await metrics.text(), /^readings 2$/m);
  });
});
