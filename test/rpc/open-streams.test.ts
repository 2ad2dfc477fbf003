import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { keepFewStreams } from '../../src/rpc/grpc/node-internals.ts';
import { OpenStreams } from '../../src/rpc/grpc/open-streams.ts';

describe('the open streams of a connection', () => {
  it('are found, counted, replaced and removed in any order', () => {
    const streams = new OpenStreams<number, string>();
    streams.set(1, 'a').set(3, 'b').set(5, 'c').set(3, 'd');
    assert.deepEqual([streams.size, streams.get(3), streams.get(7)], [3, 'd', undefined]);
    assert.deepEqual([streams.delete(1), streams.delete(1)], [true, false]);
    const left: string[] = [];
    streams.forEach((stream) => {
      left.push(stream);
      streams.delete(stream === 'c' ? 5 : 3);
    });
    assert.deepEqual([left.sort(), streams.size], [['c', 'd'], 0]);
  });

  describe('as node:http2 keeps them', () => {
    const server = createServer();
    const sessions: { session: ServerHttp2Session; kept: boolean }[] = [];

    before(async () => {
      server.on('session', (session) => sessions.push({ session, kept: keepFewStreams(session) }));
      server.on('stream', (stream, headers) => {
        if (headers[':path'] === '/never') return;
        stream.respond({ ':status': 200 });
        stream.end(headers[':path']);
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
    });

    after(() => server.close());

    const client = () => connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

    it('are ours, in the version of Node that the service runs on', async () => {
      const caller = client();
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const stream = caller.request({ ':path': `/${index}` });
          return (await stream.setEncoding('utf8').toArray()).join('');
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 50 }, (_, index) => `/${index}`),
      );
      assert.equal(sessions.at(-1)?.kept, true);
      caller.close();
      await once(caller, 'close');
    });

    it('end with their connection, and let it end', async () => {
      const caller = client();
      const stream = caller.request({ ':path': '/never' });
      stream.on('error', () => {});
      await once(server, 'stream');
      const { session } = sessions.at(-1) ?? {};
      assert.ok(session);
      session.destroy();
      await once(stream, 'close');
      assert.equal(session.destroyed, true);
    });
  });
});
