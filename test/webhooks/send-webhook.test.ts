import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { sendWebhook } from '../../src/webhooks/send-webhook.ts';
import { nameServers } from '../../src/webhooks/target-names.ts';
import { WebhookTargets } from '../../src/webhooks/webhook-targets.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { makeCertificate, skip } from '../http/certificates.ts';
import { startNameServer } from './name-server.ts';
import { listen, startRawTarget, startTarget } from './target-server.ts';

const SECRET = randomBytes(32);
const BODY = Buffer.from('{"type":"user.created","data":{"name":"ünïcode"}}');
const ID = '019ab000-0000-7000-8000-000000000000';
const ASIDE = new AbortController().signal;

type Sending = {
  limitMs?: number;
  secrets?: Buffer[];
  networks?: string[];
  servers?: string[];
  signal?: AbortSignal;
};

/** One attempt, from a sender that may send to the port of `url` on this machine. */
function send(url: string, sending: Sending = {}) {
  const {
    limitMs = 10_000,
    secrets = [SECRET],
    networks = ['127.0.0.1'],
    signal = ASIDE,
  } = sending;
  const port = Number(new URL(url).port);
  const rules = { allowHttp: true, allowedNetworks: networks, allowedPorts: [port] };
  const webhookTargets = new WebhookTargets(rules, nameServers(sending.servers ?? []));
  const message = { url, messageId: ID, body: BODY, secrets };
  return sendWebhook({ webhookTargets }, message, new Date(), signal, limitMs);
}

describe('a webhook on its way', () => {
  it('E03 is a POST of the bytes, whose signatures the library of the standard accepts', async () => {
    const target = await startTarget();
    const old = randomBytes(32);
    const attempt = await send(`${target.url}?tenant=1`, { secrets: [SECRET, old] });
    assert.equal(attempt.failure, undefined);
    assert.equal(attempt.status, 204);
    assert.ok(attempt.durationMs >= 0);
    const [received] = target.received;
    assert.ok(received);
    assert.deepEqual(received.body, BODY);
    assert.equal(received.url, '/hook?tenant=1');
    assert.equal(received.headers['webhook-id'], ID);
    assert.equal(received.headers['content-type'], 'application/json');
    assert.equal(received.headers.cookie, undefined);
    assert.equal(received.headers.connection, 'close');
    const headers = received.headers as Record<string, string>;
    for (const secret of [SECRET, old]) {
      const library = new Webhook(`whsec_${secret.toString('base64')}`);
      assert.deepEqual(library.verify(received.body.toString(), headers), JSON.parse(`${BODY}`));
      assert.throws(() => library.verify(`${BODY} `, headers));
    }
    assert.throws(() => new Webhook(randomBytes(32).toString('base64')).verify(`${BODY}`, headers));
  });

  for (const status of [301, 302, 303, 304, 305, 307, 308]) {
    it(`E03 goes nowhere else after a ${status}, which is a failure`, async () => {
      const elsewhere = await startTarget();
      const target = await startTarget((response) =>
        response.writeHead(status, { location: elsewhere.url }).end(),
      );
      const { failure, status: seen } = await send(target.url);
      assert.deepEqual({ failure, seen }, { failure: 'redirect', seen: status });
      assert.equal(elsewhere.received.length, 0);
    });
  }

  it('E03 has failed after any answer but a 2xx', async () => {
    let status = 200;
    const target = await startTarget((response) => response.writeHead(status).end());
    for (status of [200, 201, 202, 299]) assert.equal((await send(target.url)).failure, undefined);
    for (status of [400, 401, 404, 410, 429, 500, 503, 599]) {
      const attempt = await send(target.url);
      assert.deepEqual([attempt.status, attempt.failure], [status, 'status']);
    }
  });

  it('E03 brings back how long the target asks to be left alone', async () => {
    let text = '';
    const target = await startTarget((response) =>
      response.writeHead(429, { 'retry-after': text }).end(),
    );
    text = '120';
    assert.equal((await send(target.url)).retryAfterMs, 120_000);
    text = new Date(Date.now() + 3600_000).toUTCString();
    const inAnHour = (await send(target.url)).retryAfterMs ?? 0;
    assert.ok(inAnHour > 3500_000 && inAnHour <= 3600_000);
    text = new Date(0).toUTCString();
    assert.equal((await send(target.url)).retryAfterMs, 0);
    for (text of ['soon', '-1', '1e9', '99999999999999999999', '1.5', '0x10']) {
      assert.equal((await send(target.url)).retryAfterMs, undefined, text);
    }
  });

  it('ends when it is called back', async () => {
    const target = await startRawTarget(() => {});
    const back = new AbortController();
    const sending = send(target.url, { signal: back.signal });
    await eventually(() => target.sockets.size === 1);
    back.abort(new Error('called back'));
    await assert.rejects(sending, /called back/);
    await eventually(() => target.sockets.size === 0);
  });
});

describe('the answer of a target', () => {
  it('is cut after 4 KiB, without being waited for', async () => {
    let written = 0;
    const target = await startTarget((response) => {
      response.writeHead(200);
      const more = () => {
        const chunk = Buffer.alloc(16 * 1024);
        while (!response.destroyed && response.write(chunk)) written += chunk.length;
      };
      response.on('drain', more);
      more();
    });
    assert.equal((await send(target.url)).failure, undefined);
    await eventually(() => target.sockets.size === 0);
    assert.ok(written < 64 * 1024 * 1024);
  });

  it('is not unpacked, whatever it claims to be', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const target = await startTarget((response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const before = process.memoryUsage().arrayBuffers;
    assert.equal((await send(target.url)).failure, undefined);
    assert.ok(process.memoryUsage().arrayBuffers - before < 32 * 1024 * 1024);
    assert.equal(target.received[0]?.headers['accept-encoding'], 'identity');
  });

  const endless: Record<string, (socket: Socket) => void> = {
    'headers without end': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      forEver(socket, 'x-more: and more\r\n');
    },
    'one header without end': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-more: ');
      forEver(socket, 'and more'.repeat(100));
    },
    'early hints without end': (socket) =>
      forEver(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n'),
    'empty lines without end': (socket) => forEver(socket, '\r\n'.repeat(1000)),
    'another protocol': (socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    'no HTTP': (socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'),
    'two lengths': (socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
  };
  for (const [what, serve] of Object.entries(endless)) {
    it(`is a failure if it is ${what}`, async () => {
      const target = await startRawTarget((socket) => socket.once('data', () => serve(socket)));
      assert.equal((await send(target.url)).failure, 'bad_response');
      await eventually(() => target.sockets.size === 0);
    });
  }

  it('is a failure if the connection ends before it does', async () => {
    for (const part of [
      '',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1',
    ]) {
      const target = await startRawTarget((socket) => socket.once('data', () => socket.end(part)));
      const { failure } = await send(target.url);
      assert.ok(failure === 'connect' || failure === 'bad_response', `${failure} after ${part}`);
    }
  });

  const silent: Record<string, [part: string, drip: string]> = {
    'does not begin': ['', ''],
    'stops in its first line': ['HTTP/1.1 2', ''],
    'stops in its headers': ['HTTP/1.1 200 OK\r\nx-a: 1\r\n', ''],
    'stops in its body': ['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1', ''],
    'comes a byte at a time, in its headers': ['HTTP/1.1 200 OK\r\nx-a: 1', '1'],
    'comes a byte at a time, in its body': ['HTTP/1.1 200 OK\r\n\r\n', '1'],
  };
  for (const [what, [part, drip]] of Object.entries(silent)) {
    it(`E03 is a time-out if it ${what}`, async () => {
      const target = await startRawTarget((socket) => {
        socket.write(part);
        const timer = setInterval(() => socket.write(drip), 10);
        socket.once('close', () => clearInterval(timer));
      });
      const attempt = await send(target.url, { limitMs: 200 });
      assert.equal(attempt.failure, 'timeout');
      await eventually(() => target.sockets.size === 0);
    });
  }
});

function forEver(socket: Socket, text: string): void {
  const chunk = text.repeat(50);
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

describe('the connection to a target', () => {
  it('E04 leads to the address that was checked, whatever the name server says a moment later', async () => {
    const target = await startTarget();
    const inside = await startTarget(undefined, { host: '127.0.0.2', port: target.port });
    const asked: number[] = [];
    const server = await startNameServer((_name, family) => {
      asked.push(family);
      if (family === 6) return [];
      return [asked.filter((one) => one === 4).length === 1 ? '127.0.0.1' : '127.0.0.2'];
    });
    const url = `http://rebind.test:${target.port}/`;
    const attempt = await send(url, { servers: [server] });
    assert.equal(attempt.status, 204);
    assert.deepEqual(asked.toSorted(), [4, 6]);
    assert.equal(target.received[0]?.headers.host, `rebind.test:${target.port}`);
    const next = await send(url, { servers: [server] });
    assert.deepEqual([next.failure, next.status], ['target_forbidden', undefined]);
    assert.equal(inside.received.length, 0);
    assert.equal(inside.sockets.size, 0);
  });

  it('E04 ends before a byte is sent if it leads elsewhere than was checked', async () => {
    // The system takes 0.0.0.0 for this machine.
    let bytes = 0;
    const target = await startRawTarget((socket) => socket.on('data', () => (bytes += 1)));
    const url = `http://0.0.0.0:${target.port}/`;
    assert.equal((await send(url, { networks: ['0.0.0.0'] })).failure, 'target_forbidden');
    await eventually(() => target.sockets.size === 0);
    assert.equal(bytes, 0);
  });

  it('is a failure of the name if it has no address, or no name server answers', async () => {
    const server = await startNameServer((name) => (name === 'down.test' ? 'broken' : []));
    for (const name of ['nobody.test', 'down.test']) {
      const { failure } = await send(`http://${name}:8080/`, { servers: [server] });
      assert.equal(failure, 'dns');
    }
  });

  it('is a failure if nobody listens', async () => {
    const target = await startTarget();
    assert.equal((await send(target.url.replace('127.0.0.1', '127.0.0.1'))).failure, undefined);
    const { failure } = await send('http://127.0.0.1:1/');
    assert.equal(failure, 'connect');
  });

  it('E04 uses no proxy of the environment', async () => {
    const target = await startTarget();
    const proxy = await startTarget();
    const program = `
      import { sendWebhook } from './src/webhooks/send-webhook.ts';
      import { WebhookTargets } from './src/webhooks/webhook-targets.ts';
      const rules = { allowHttp: true, allowedNetworks: ['127.0.0.1'], allowedPorts: [${target.port}] };
      const needs = { webhookTargets: new WebhookTargets(rules) };
      const message = { url: '${target.url}', messageId: 'm', body: Buffer.from('{}'), secrets: [] };
      await sendWebhook(needs, message, new Date(), new AbortController().signal);`;
    const environment = {
      PATH: process.env['PATH'],
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: new URL(proxy.url).origin,
      http_proxy: new URL(proxy.url).origin,
    };
    const args = ['--input-type=module', '-e', program];
    await promisify(execFile)(process.execPath, args, { env: environment });
    assert.equal(target.received.length, 1);
    assert.equal(proxy.received.length, 0);
  });
});

describe('TLS to a target', { skip }, () => {
  it('needs a certificate that is trusted, and of the name', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-webhook-'));
    atEnd(() => rmSync(directory, { recursive: true }));
    const { cert, key } = makeCertificate(directory, 'hooks', 'DNS:hooks.test');
    const files = { cert: readFileSync(cert), key: readFileSync(key) };
    let requests = 0;
    const secure = createTlsServer(files, (request, response) => {
      requests += 1;
      request.resume();
      response.writeHead(204).end();
    });
    const { port } = await listen(secure);
    const server = await startNameServer((_name, family) => (family === 4 ? ['127.0.0.1'] : []));
    const to = (name: string) => send(`https://${name}:${port}/`, { servers: [server] });
    assert.equal((await to('hooks.test')).failure, 'tls');
    const known = getCACertificates('default');
    atEnd(() => setDefaultCACertificates(known));
    setDefaultCACertificates([...known, files.cert.toString()]);
    assert.deepEqual([(await to('hooks.test')).status, requests], [204, 1]);
    assert.equal((await to('hooks.test.')).status, 204);
    assert.equal((await to('other.test')).failure, 'tls');
    assert.equal((await to('127.0.0.1')).failure, 'tls');
    assert.equal(requests, 2);
  });

  it('E03 is a time-out if it does not come about', async () => {
    const target = await startRawTarget(() => {});
    const { failure } = await send(`https://127.0.0.1:${target.port}/`, { limitMs: 200 });
    assert.equal(failure, 'timeout');
  });

  it('is a failure if the target speaks something else', async () => {
    const target = await startTarget();
    assert.equal((await send(target.url.replace('http:', 'https:'))).failure, 'tls');
  });
});
