import assert from 'node:assert/strict';
import { request } from 'node:http';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { type Service, startService } from '../harness/service.ts';

const ORIGIN = 'https://app.example.com';
const METHOD = '/countersign.v1.SessionService/IntrospectToken';

describe('origins and hosts', () => {
  let service: Service;
  let url: string;

  before(async () => {
    service = await startService({
      env: { COUNTERSIGN_CORS_ORIGINS: ORIGIN, COUNTERSIGN_ALLOWED_HOSTS: '127.0.0.1,id.example' },
    });
    url = `http://${service.app.httpAddress}`;
  });

  const preflight = (origin: string) =>
    fetch(`${url}${METHOD}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });

  it('W11 lets pages of a configured origin call, with the cookie of a session', async () => {
    const allowed = await preflight(ORIGIN);
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get('access-control-allow-origin'), ORIGIN);
    assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /authorization/i);
    assert.equal(allowed.headers.get('access-control-allow-credentials'), 'true');
    assert.match(
      allowed.headers.get('access-control-allow-headers') ?? '',
      /x-countersign-session/,
    );
    const answer = await fetch(`${url}${METHOD}`, {
      method: 'POST',
      headers: { origin: ORIGIN, 'content-type': 'application/json' },
      body: '{"token":"x"}',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('access-control-allow-origin'), ORIGIN);
    assert.match(answer.headers.get('access-control-expose-headers') ?? '', /x-request-id/);
  });

  it('W11 says nothing to pages of any other origin', async () => {
    for (const origin of ['https://evil.example', `${ORIGIN}.evil.example`, 'null']) {
      const refused = await preflight(origin);
      assert.equal(refused.headers.get('access-control-allow-origin'), null);
      assert.equal(refused.headers.get('access-control-allow-credentials'), null);
    }
  });

  it('refuses hosts that it does not serve', async () => {
    assert.equal(await statusFor(service.app.httpAddress, 'id.example:443'), 200);
    assert.equal(await statusFor(service.app.httpAddress, 'ID.example'), 200);
    assert.equal(await statusFor(service.app.httpAddress, 'rebound.example'), 421);
  });
});

describe('the embedded default', () => {
  it('A07 answers to loopback names and its public one, whichever name a page makes resolve to it', async () => {
    const service = await startService({
      env: {
        DATABASE_URL: '',
        COUNTERSIGN_DATA_DIR: await embeddedDirectory(),
        COUNTERSIGN_PUBLIC_URL: 'https://id.example:8443/',
      },
    });
    const { httpAddress } = service.app;
    for (const host of ['localhost', 'LOCALHOST:8080', httpAddress, '[::1]:1', 'id.example']) {
      assert.equal(await statusFor(httpAddress, host), 200, host);
    }
    for (const host of ['rebound.example', 'localhost.rebound.example:80', '127.0.0.1.nip.io']) {
      assert.equal(await statusFor(httpAddress, host), 421, host);
    }
  });

  it('answers to the names that it is given instead', async () => {
    const embedded = { DATABASE_URL: '', COUNTERSIGN_ALLOWED_HOSTS: 'mine.example' };
    assert.deepEqual(readConfig(embedded, () => '').allowedHosts, ['mine.example']);
  });
});

function statusFor(address: string, host: string): Promise<number | undefined> {
  const [hostname, port] = address.split(':');
  return new Promise((resolve, reject) => {
    request({ hostname, port, path: '/healthz', headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
