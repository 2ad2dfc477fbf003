import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Service, startService } from '../harness/service.ts';
import { rawSocket } from '../rpc/frames.ts';

const ORIGIN = 'https://app.example.com';

describe('the answers of the HTTP endpoints, as caches and clients read them', () => {
  let service: Service;
  let url: string;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_CORS_ORIGINS: ORIGIN } });
    url = `http://${service.app.httpAddress}`;
  });

  it('are not sent again for a tag that names them, and sent for any other', async () => {
    const keys = `${url}/.well-known/jwks.json`;
    const etag = (await fetch(keys)).headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await fetch(keys, { headers: { 'if-none-match': known } });
      assert.equal(answer.status, 304, known);
      assert.equal(answer.headers.get('etag'), etag);
      assert.match(answer.headers.get('cache-control') ?? '', /max-age/);
      assert.equal(answer.headers.get('content-length'), null);
    }
    for (const other of ['"other"', etag.slice(1, -1), '']) {
      assert.equal((await fetch(keys, { headers: { 'if-none-match': other } })).status, 200);
    }
  });

  it('have the same headers for HEAD', async () => {
    for (const path of ['/.well-known/jwks.json', '/healthz', '/verify-email']) {
      const got = await fetch(`${url}${path}`);
      const head = await fetch(`${url}${path}`, { method: 'HEAD' });
      const headers = (answer: Response) =>
        [...answer.headers].filter(([name]) => !/^(date|connection|keep-alive)$/.test(name));
      assert.deepEqual(headers(head), headers(got), path);
      assert.equal(
        head.headers.get('content-length'),
        String((await got.arrayBuffer()).byteLength),
      );
    }
  });

  it('are not cached for one origin and served to another', async () => {
    for (const headers of [{}, { origin: ORIGIN }, { origin: 'https://other.example' }]) {
      const answer = await fetch(`${url}/.well-known/jwks.json`, { headers });
      assert.match(answer.headers.get('vary') ?? '', /origin/);
      assert.notEqual(answer.headers.get('access-control-allow-origin'), '*');
    }
  });

  it('W02 do not wait for an unexpected body, and end the connection', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    socket.on('error', () => {});
    socket.write('POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx');
    const sending = setInterval(() => socket.write('x'), 50);
    const answer = (await Array.fromAsync(socket).catch(() => [])).join('');
    clearInterval(sending);
    assert.match(answer, /^$|^HTTP\/1\.1 405 /);
  });
});
