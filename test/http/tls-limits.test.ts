import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { exchange } from '../rpc/frames.ts';
import { makeCertificate, skip } from './certificates.ts';

const LIMIT_MS = 500;

describe('the listeners with TLS', { skip }, () => {
  let service: Service;
  let files: { cert: string; key: string };

  before(async () => {
    files = makeCertificate(temporaryDirectory(), 'limits');
    service = await startService({
      env: {
        COUNTERSIGN_TLS_CERT_FILE: files.cert,
        COUNTERSIGN_TLS_KEY_FILE: files.key,
        COUNTERSIGN_SHUTDOWN_GRACE: '9s',
      },
      limits: { headersTimeoutMs: LIMIT_MS, bodyTimeoutMs: LIMIT_MS },
    });
  });

  const ca = () => readFileSync(files.cert);

  function tlsSocket(address: string, protocol: string): Promise<TLSSocket> {
    const { hostname: host, port } = new URL(`https://${address}`);
    const options = { host, port: Number(port), ca: ca(), ALPNProtocols: [protocol] };
    return new Promise((resolve, reject) => {
      const socket = connect(options, () => resolve(socket));
      socket.on('error', reject);
    });
  }

  it('speak HTTP/2 and HTTP/1.1, as the client wishes', async () => {
    for (const protocol of ['h2', 'http/1.1']) {
      const socket = await tlsSocket(service.app.httpAddress, protocol);
      assert.equal(socket.alpnProtocol, protocol);
      socket.destroy();
    }
    const session = connectHttp2(`https://${service.app.httpAddress}`, { ca: ca() });
    const stream = session.request({ ':path': '/healthz' });
    const status = await new Promise((resolve) => {
      stream.once('response', (headers) => resolve(headers[':status']));
    });
    session.destroy();
    assert.equal(status, 200);
  });

  it('W02 end a connection whose handshake does not arrive', async () => {
    for (const address of [service.app.grpcAddress, service.app.httpAddress]) {
      assert.ok((await exchange(address, [], 10_000)).closed, address);
      assert.ok((await exchange(address, [Buffer.from([0x16, 3, 1])], 10_000)).closed, address);
      assert.ok((await exchange(address, [Buffer.from('GET / HTTP/1.1\r\n')], 10_000)).closed);
    }
  });

  it('W02 end a connection that says nothing after its handshake', async () => {
    const { grpcAddress, httpAddress } = service.app;
    for (const [address, protocol] of [
      [grpcAddress, 'h2'],
      [httpAddress, 'h2'],
      [httpAddress, 'http/1.1'],
    ] as const) {
      const socket = await tlsSocket(address, protocol);
      socket
        .removeAllListeners('error')
        .on('error', () => {})
        .resume();
      await eventually(() => socket.destroyed, 10_000);
    }
  });

  it('W02 end an HTTP/1.1 connection whose headers are too many or too slow', async () => {
    const large = await tlsSocket(service.app.httpAddress, 'http/1.1');
    large.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`);
    assert.match((await Array.fromAsync(large)).join(''), /^HTTP\/1\.1 431 [\s\S]*16384 bytes/);
    const slow = await tlsSocket(service.app.httpAddress, 'http/1.1');
    slow.write('GET / HTTP/1.1\r\nHo');
    assert.match((await Array.fromAsync(slow)).join(''), /^$|^HTTP\/1\.1 408 /);
  });

  it('W04 close idle HTTP/1.1 connections when the replica stops', async () => {
    const agent = new Agent({ keepAlive: true, ca: ca() });
    const status = await new Promise((resolve, reject) => {
      const { hostname: host, port } = new URL(`https://${service.app.httpAddress}`);
      request({ host, port, path: '/healthz', agent }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 200);
    await sleep(50);
    const start = performance.now();
    await service.app.stop();
    // Less than its grace: nothing was open that had to be waited for.
    assert.ok(performance.now() - start < 6000);
    agent.destroy();
  });
});

describe('the gRPC listener that asks for certificates', { skip }, () => {
  it('answers only clients whose certificate is known', async () => {
    const directory = temporaryDirectory();
    const server = makeCertificate(directory, 'server');
    const known = makeCertificate(directory, 'known');
    const unknown = makeCertificate(directory, 'unknown');
    const { app } = await startService({
      env: {
        COUNTERSIGN_TLS_CERT_FILE: server.cert,
        COUNTERSIGN_TLS_KEY_FILE: server.key,
        COUNTERSIGN_TLS_CLIENT_CA_FILE: known.cert,
      },
    });
    const call = (own?: { cert: string; key: string }) => {
      const pair = own && { cert: readFileSync(own.cert), key: readFileSync(own.key) };
      const nodeOptions = { ca: readFileSync(server.cert), ...pair };
      const baseUrl = `https://${app.grpcAddress}`;
      const client = createClient(SessionService, createGrpcTransport({ baseUrl, nodeOptions }));
      return client.introspectToken({ token: 'x' });
    };
    assert.equal((await call(known)).active, false);
    await assert.rejects(call(unknown));
    await assert.rejects(call());
  });
});
