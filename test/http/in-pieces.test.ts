import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { writeInPieces } from '../../src/http/in-pieces.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';

/** More than the buffers of two sockets. */
const BODY = randomBytes(48 * 1024 * 1024);
const HELD_BYTES = 100 * 1024;

describe('A long body', () => {
  async function ask(stallMs: number): Promise<[client: Socket, answer: ServerResponse]> {
    const server = createServer((req, res) => {
      res.setHeader('content-length', BODY.length);
      writeInPieces(req, res, BODY, stallMs);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(() => void server.close());
    const answering = once(server, 'request');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {}).pause();
    atEnd(() => void client.destroy());
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    const [, answer] = (await answering) as [unknown, ServerResponse];
    return [client, answer];
  }

  it('W15 waits for its caller, of which it holds no more than a piece', async () => {
    const [client, answer] = await ask(60_000);
    await eventually(() => answer.writableNeedDrain);
    assert.ok(answer.writableLength < HELD_BYTES, String(answer.writableLength));
    const said = Buffer.concat(await Array.fromAsync(client));
    assert.ok(said.subarray(said.indexOf('\r\n\r\n') + 4).equals(BODY));
  });

  it('W02 is given up if its caller takes nothing', async () => {
    const [, answer] = await ask(200);
    await eventually(() => answer.destroyed);
  });
});
