import assert from 'node:assert/strict';
import { afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../harness/eventually.ts';
import { type Service, startService } from '../harness/service.ts';
import { Echo, EchoService } from './echo.ts';
import { rawSocket } from './frames.ts';

const UNARY = `/${EchoService.typeName}/Unary`;
const LIMIT_MS = 600;

const uncaught: Error[] = [];
process.on('uncaughtExceptionMonitor', (error) => uncaught.push(error));

describe('HTTP/1.1 on the HTTP listener', () => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    service = await startService({
      services: [echo.service],
      limits: { bodyTimeoutMs: LIMIT_MS, headersTimeoutMs: LIMIT_MS, streamIdleMs: LIMIT_MS },
    });
  });

  afterEach(async () => {
    const { text } = await service.client(EchoService, 'connect').unary({ text: 'well' });
    assert.equal(text, 'well');
    assert.deepEqual(uncaught, []);
  });

  /** Writes the parts one after the other, and returns everything that comes back until the end. */
  async function say(...parts: string[]): Promise<string> {
    const socket = await rawSocket(service.app.httpAddress);
    socket.on('error', () => {});
    for (const part of parts) {
      socket.write(part, 'latin1');
      await sleep(10);
    }
    return (await Array.fromAsync(socket).catch(() => [])).join('');
  }

  const json = (head: string, body: string) =>
    `POST ${UNARY} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${head}\r\n${body}`;

  it('answers a request that arrives letter by letter', async () => {
    const request = json('Connection: close\r\nContent-Length: 12\r\n', '{"text":"a"}');
    const letters = [...request];
    const socket = await rawSocket(service.app.httpAddress);
    for (const letter of letters.slice(0, 6)) {
      socket.write(letter);
      await sleep(20);
    }
    socket.write(letters.slice(6).join(''));
    assert.match((await Array.fromAsync(socket)).join(''), /^HTTP\/1\.1 200 [\s\S]*{"text":"a"}$/);
  });

  it('answers requests that arrive before the previous one is answered', async () => {
    const one = json('Content-Length: 12\r\n', '{"text":"a"}');
    const last = json('Connection: close\r\nContent-Length: 12\r\n', '{"text":"b"}');
    const answers = (await say(one + one + last)).match(/"text":"\w"/g);
    assert.deepEqual(answers, ['"text":"a"', '"text":"a"', '"text":"b"']);
  });

  it('W01 refuses requests that could be read in two ways, and anything that is not HTTP', async () => {
    const chunk = 'Transfer-Encoding: chunked\r\n';
    for (const request of [
      json(`Content-Length: 4\r\n${chunk}`, '0\r\n\r\n'),
      json('Content-Length: 4\r\nContent-Length: 5\r\n', '{}  '),
      json('Content-Length: -1\r\n', '{}'),
      json('Content-Length: 99999999999999999999\r\n', '{}'),
      json(chunk, 'ffffffffffffffff\r\n{}'),
      json(chunk, 'x\r\n{}'),
      json('Bad Header: x\r\n', ''),
      json('X: a\0b\r\n', ''),
      json('Transfer-Encoding: gzip\r\n', '{}'),
      'GET / HTTP/9.9\r\n\r\n',
      'GET /healthz\r\n\r\n',
      'GET /healthz HTTP/1.1\r\n\r\n',
      '\r\n\r\n\r\n\r\nX',
    ]) {
      const answer = await say(request);
      // Half a request may be told that its time is over.
      assert.match(answer, /^$|^HTTP\/1\.1 (?:4\d\d|504) /, request);
    }
  });

  it('W01 refuses an invalid host, and serves a valid one', async () => {
    const to = (host: string) => say(`GET /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    for (const host of ['[', '%', 'x:99999', 'a b', 'a/b', 'a@b', '[::1', '']) {
      assert.match(await to(`Host: ${host}\r\n`), /^HTTP\/1\.1 400 /, host);
    }
    for (const host of ['a', 'a.b:80', '[::1]:8080', '127.0.0.1', 'my_service:8080']) {
      assert.match(await to(`Host: ${host}\r\n`), /^HTTP\/1\.1 200 /, host);
    }
  });

  it('W01 survives CONNECT, upgrades and expectations', async () => {
    for (const head of [
      'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n',
      json('Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n', '{}'),
      json('Connection: close\r\nExpect: the-impossible\r\nContent-Length: 2\r\n', '{}'),
      'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      'GET http://[/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ]) {
      assert.doesNotMatch(await say(head), /HTTP\/1\.1 5/, head);
    }
  });

  it('W02 ends a connection whose reader does not read, and stops its method', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    const body = Buffer.from('000000000708c0843d18904e', 'hex');
    const begun = echo.begun;
    socket.write(
      `POST /${EchoService.typeName}/ServerStream HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    socket.pause();
    await eventually(() => echo.begun > begun && echo.pulled > 0);
    await eventually(() => echo.ended === echo.begun);
    socket.destroy();
  });

  it('W02 keeps a connection in use, even for longer than one call may be silent', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk;
    });
    for (let call = 1; call <= 3; call += 1) {
      socket.write(json('Content-Length: 12\r\n', '{"text":"a"}'));
      await sleep(LIMIT_MS + 200);
      assert.equal(received.match(/HTTP\/1\.1 200/g)?.length, call);
    }
    socket.destroy();
  });
});
