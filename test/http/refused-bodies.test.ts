import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { toBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { ServerStreamRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { Echo, EchoService } from '../rpc/echo.ts';
import { rawSocket } from '../rpc/frames.ts';
import { makeCertificate, skip } from './certificates.ts';

const PATH = `/${EchoService.typeName}`;
/** Of a body that is too large for any method, and for what Node reads ahead. */
const BODY_BYTES = 400_000;
const PIECE = 'x'.repeat(10_000);
/** The head of a message that claims to be as large as the body. */
const ENVELOPE = String.fromCharCode(0, 0, 6, 26, 123);

/** Requests that are refused by their first bytes. */
const REFUSED = {
  'by Connect, in a stream': { path: `${PATH}/ClientStream`, type: 'application/connect+proto' },
  'by Connect': { path: `${PATH}/Unary`, type: 'application/proto' },
  'by gRPC-Web': { path: `${PATH}/Unary`, type: 'application/grpc-web+proto' },
  'to a method that is unknown': { path: `${PATH}/Absent`, type: 'application/proto' },
  'to no method': { path: '/healthz', type: 'text/plain' },
};

/** A request that is served, with the last of them named as such. */
const served = (text: string, more = '') =>
  `POST ${PATH}/Unary HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${more}Content-Length: ${11 + text.length}\r\n\r\n{"text":"${text}"}`;

describe('an HTTP/1.1 request that is refused before it has arrived in full', () => {
  let service: Service;
  let echo: Echo;

  before(async () => {
    echo = new Echo();
    service = await startService({ services: [echo.service] });
  });

  /** Everything that a socket receives, and whether it was closed in order. */
  function listen(socket: Socket) {
    const heard = { text: '', ended: false, error: undefined as Error | undefined };
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      heard.text += chunk;
    });
    socket.on('end', () => {
      heard.ended = true;
    });
    socket.on('error', (error) => {
      heard.error = error;
    });
    return heard;
  }

  const head = ({ path, type }: { path: string; type: string }) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${BODY_BYTES + 5}\r\n\r\n${ENVELOPE}`;

  for (const [name, refused] of Object.entries(REFUSED)) {
    it(`W02 is told that its connection ends, and sees its answer, ${name}`, async () => {
      const socket = await rawSocket(service.app.httpAddress);
      const heard = listen(socket);
      socket.write(head(refused) + PIECE.repeat(9), 'latin1');
      // Keeps sending, as a caller does who has not read the answer yet.
      for (let sent = 9; sent < BODY_BYTES / PIECE.length && !heard.ended; sent += 1) {
        await sleep(2);
        socket.write(PIECE);
      }
      await eventually(() => heard.ended || heard.error !== undefined);
      assert.equal(heard.error, undefined);
      assert.match(heard.text, /^HTTP\/1\.1 \d{3} [\s\S]*\r\nConnection: close\r\n/i);
      assert.match(
        heard.text,
        /REQUEST_TOO_LARGE|METHOD_UNKNOWN|grpc-status|method not allowed|"error"/,
      );
      socket.destroy();
    });
  }

  it('W02 breaks no other call that shares its connections', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    const post = (path: string, type: string, body: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { method: 'POST', agent, headers: { 'content-type': type } };
        const sent = request(`http://${service.app.httpAddress}${path}`, options, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        });
        sent.once('error', reject);
        sent.end(Buffer.from(body, 'latin1'));
      });
    const large = ENVELOPE + 'x'.repeat(BODY_BYTES);
    const { path, type } = REFUSED['by Connect, in a stream'];
    for (let round = 0; round < 5; round += 1) {
      await post(path, type, large).catch(() => {});
      const others = Array.from({ length: 4 }, async () => {
        assert.equal(await post(`${PATH}/Unary`, 'application/json', '{"text":"a"}'), 200);
        await sleep(300);
        assert.equal(await post(`${PATH}/Unary`, 'application/json', '{"text":"a"}'), 200);
      });
      await Promise.all(others);
    }
    agent.destroy();
  });

  it('W02 prevents anything behind it from being served', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    const heard = listen(socket);
    const { begun } = echo;
    const body = PIECE.repeat(BODY_BYTES / PIECE.length);
    socket.write(head(REFUSED['by Connect']) + body + served('a'), 'latin1');
    await eventually(() => socket.destroyed);
    assert.equal(echo.begun, begun);
    assert.equal(heard.text.match(/HTTP\/1\.1/g)?.length, 1);
  });

  it('keeps its connection if it has arrived in full', async () => {
    const socket = await rawSocket(service.app.httpAddress);
    const heard = listen(socket);
    const body = '{"text":7}';
    socket.write(
      `POST ${PATH}/Unary HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => heard.text.includes('INVALID_REQUEST'));
    socket.write(served('b', 'Connection: close\r\n'));
    await eventually(() => heard.ended);
    assert.match(
      heard.text,
      /^HTTP\/1\.1 400 [\s\S]*Connection: keep-alive[\s\S]*HTTP\/1\.1 200 [\s\S]*"b"/,
    );
  });
});

describe('an HTTP/1.1 connection with TLS', { skip }, () => {
  it('W02 serves a request that arrives while the previous answer is unread', async () => {
    const { cert, key } = makeCertificate(temporaryDirectory(), 'pipelined');
    const echo = new Echo();
    const { app } = await startService({
      services: [echo.service],
      env: { COUNTERSIGN_TLS_CERT_FILE: cert, COUNTERSIGN_TLS_KEY_FILE: key },
    });
    const [host, port] = app.httpAddress.split(':');
    const socket = connectTls({ host, port: Number(port), ca: readFileSync(cert) });
    await once(socket, 'secureConnect');
    const asked = { $typeName: ServerStreamRequestSchema.typeName, count: 300, size: 60_000 };
    const first = encodeEnvelope(
      0,
      toBinary(ServerStreamRequestSchema, { failAfter: 0, endless: false, ...asked }),
    );
    socket.write(
      `POST ${PATH}/ServerStream HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${first.length}\r\n\r\n`,
    );
    socket.write(first);
    await eventually(() => echo.pulled > 0);
    await sleep(200);
    // One write, of several records, each of which Node reads by itself.
    socket.write(served('y'.repeat(40_000)));
    let end = '';
    socket.setEncoding('latin1');
    for await (const chunk of socket) {
      end = (end + chunk).slice(-10_000);
      if (end.includes('HTTP/1.1 400')) break;
    }
    assert.match(end, /HTTP\/1\.1 400/);
    socket.destroy();
  });
});
