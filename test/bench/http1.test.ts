import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { Http1Connection, readAnswer, requestBytes } from '../../bench/load/http1.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED =
  'HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';

describe('the HTTP/1.1 client of the benchmarks', () => {
  it('reads a body of a stated length', () => {
    const read = readAnswer(Buffer.from(`${SIZED}HTTP/1.1 200`));
    assert.deepEqual(read, { answer: { status: 200, body: 'hello' }, bytes: SIZED.length });
  });

  it('reads a body in chunks', () => {
    const read = readAnswer(Buffer.from(CHUNKED));
    assert.deepEqual(read, { answer: { status: 201, body: 'abcde' }, bytes: CHUNKED.length });
  });

  it('waits for the rest of an answer, wherever it is cut', () => {
    for (const whole of [SIZED, CHUNKED]) {
      for (let length = 0; length < whole.length; length += 1) {
        assert.equal(readAnswer(Buffer.from(whole.slice(0, length))), undefined);
      }
    }
  });

  it('sends one request after another by one connection', async () => {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.statusCode = 202;
      response.end(`${request.method} ${request.url} ${request.headers['x-name']} ${body}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const connection = new Http1Connection(`127.0.0.1:${port}`);
    atEnd(() => connection.close());
    const headers = { 'x-name': 'n' };
    for (const body of ['one', 'zwölf']) {
      const request = requestBytes({ method: 'POST', path: '/p', headers, body });
      const answer = await connection.send(request);
      assert.deepEqual(answer, { status: 202, body: `POST /p n ${body}` });
    }
    const get = requestBytes({ method: 'GET', path: '/g', headers });
    assert.equal((await connection.send(get)).body, 'GET /g n ');
    server.closeAllConnections();
    await eventually(() => connection.isClosed);
    await assert.rejects(connection.send(get), /is closed/);
  });
});
