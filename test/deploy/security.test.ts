import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { temporaryDirectory } from '../harness/prepared.ts';

const ADVISORY = {
  id: 1,
  url: 'https://example.com/1',
  title: 'planted',
  severity: 'critical',
  vulnerable_versions: '*',
  cwe: [],
  cvss: { score: 9, vectorString: null },
};

/** What `.ci/security.ts` says when a registry answers npm's question so. */
async function audited(status: number, answer: object) {
  const registry = createServer(({ method, url = '' }, res) => {
    // It asks for packages with advisories, too: which versions of them there are.
    const version = { name: url.slice(1), version: '1.0.0' };
    const about = { name: url.slice(1), 'dist-tags': {}, versions: { '1.0.0': version } };
    res.writeHead(method === 'GET' ? 200 : status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(method === 'GET' ? about : answer));
  });
  registry.listen(0, '127.0.0.1');
  await once(registry, 'listening');
  atEnd(() => registry.close());
  const { port } = registry.address() as AddressInfo;
  const env = {
    ...process.env,
    npm_config_registry: `http://127.0.0.1:${port}`,
    npm_config_cache: temporaryDirectory(),
    npm_config_fetch_retries: '0',
  };
  const scan = spawn(process.execPath, ['.ci/security.ts', 'vulnerabilities'], { env });
  const [output, [code]] = await Promise.all([text(scan.stdout), once(scan, 'exit')]);
  return { output, code };
}

describe('the scan for vulnerabilities', () => {
  it('passes if there are none', async () => {
    assert.deepEqual(await audited(200, {}), { output: 'ok     vulnerabilities\n', code: 0 });
  });

  it('fails on a severe one, and names the package', async () => {
    const { output, code } = await audited(200, { ioredis: [ADVISORY] });
    assert.equal(code, 1);
    assert.match(output, /^FAILED vulnerabilities\nioredis has a vulnerability: critical$/m);
  });

  it('has no verdict if the registry does not say', async () => {
    const { output, code } = await audited(404, {});
    assert.equal(code, 75);
    assert.match(output, /^\? {6}vulnerabilities: the registry does not say/);
  });
});
