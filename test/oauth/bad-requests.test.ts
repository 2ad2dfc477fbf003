import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { logLines } from '../harness/logs.ts';
import { type Service, startService } from '../harness/service.ts';
import { post, type Told } from './asking.ts';

const PATHS = ['/oauth2/introspect', '/oauth2/token', '/oauth2/revoke'];
const ORIGIN = 'https://app.example';

let service: Service;

before(async () => {
  service = await startService({
    env: { COUNTERSIGN_CORS_ORIGINS: ORIGIN, COUNTERSIGN_ALLOWED_HOSTS: '127.0.0.1' },
  });
});

const refusedAs = ({ status, headers, body }: Told) => {
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.ok(headers.get('x-request-id'));
  assert.equal(typeof body['error_description'], 'string');
  return [status, body['error']];
};

describe('The OAuth endpoints', () => {
  it('W02 refuse a parameter that comes twice, also an unknown or empty one', async () => {
    for (const path of PATHS) {
      for (const name of ['token', 'client_id', 'scope', 'grant_type', 'anything', '']) {
        for (const value of ['x', '']) {
          const twice: [string, string][] = [
            ['token', 'x'],
            [name, value],
            [name, 'y'],
          ];
          assert.deepEqual(refusedAs(await post(service, path, twice)), [400, 'invalid_request']);
        }
      }
    }
  });

  it('W02 refuse a form over 8 KiB, declared or not', async () => {
    for (const path of PATHS) {
      for (const size of [8 * 1024, 1024 * 1024]) {
        const told = await post(service, path, { token: 'x'.repeat(size) });
        assert.deepEqual(refusedAs(told), [413, 'invalid_request']);
      }
      const body = new ReadableStream({
        pull: (stream) => stream.enqueue(new TextEncoder().encode('x'.repeat(1000))),
      });
      const init = { method: 'POST', body, duplex: 'half' as const };
      const answer = await fetch(`http://${service.app.httpAddress}${path}`, init);
      assert.equal(answer.status, 413);
    }
  });

  it('W09 take nothing from the query, where it would be logged on its way', async () => {
    for (const path of PATHS) {
      const lines = await logLines(async () => {
        const told = await post(service, `${path}?token=query-secret`, { token: 'x' });
        assert.deepEqual(refusedAs(told), [400, 'invalid_request']);
        assert.doesNotMatch(JSON.stringify(told.body), /query-secret/);
      });
      assert.doesNotMatch(JSON.stringify(lines), /query-secret/);
      assert.deepEqual(refusedAs(await post(service, `${path}?`, {})), [400, 'invalid_request']);
    }
  });

  it('refuse other methods and other types of content', async () => {
    const url = `http://${service.app.httpAddress}`;
    for (const path of PATHS) {
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
        const answer = await fetch(`${url}${path}`, { method });
        assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST']);
      }
      for (const type of ['application/json', 'multipart/form-data; boundary=x', '']) {
        const told = await post(service, path, { token: 'x' }, { 'content-type': type });
        assert.deepEqual(refusedAs(told), [400, 'invalid_request'], type);
      }
      const told = await post(service, path, {});
      assert.equal(told.status >= 400 && told.status < 500, true);
    }
    assert.equal((await post(service, '/oauth2/authorize', {})).status, 404);
  });

  it('answer no page of another origin, not even one that may call the RPCs', async () => {
    for (const path of PATHS) {
      const { headers } = await post(service, path, { token: 'x' }, { origin: ORIGIN });
      assert.equal(headers.get('access-control-allow-origin'), null);
      const preflight = { origin: ORIGIN, 'access-control-request-method': 'POST' };
      const url = `http://${service.app.httpAddress}${path}`;
      const answer = await fetch(url, { method: 'OPTIONS', headers: preflight });
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.get('access-control-allow-origin'), null);
      const [, port] = service.app.httpAddress.split(':');
      const elsewhere = await fetch(`http://localhost:${port}${path}`, { method: 'POST' });
      assert.equal(elsewhere.status, 421);
    }
  });
});
