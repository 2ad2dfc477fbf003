import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { atEnd } from '../harness/at-end.ts';

export type Received = { headers: IncomingMessage['headers']; body: Buffer; url: string };

/** A target of webhooks that keeps what it receives; `answer` answers, by default with 204. */
export async function startTarget(
  answer: (response: ServerResponse, received: Received) => void = (response) =>
    response.writeHead(204).end(),
  address = { host: '127.0.0.1', port: 0 },
) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const one = { headers: request.headers, body: Buffer.concat(chunks), url: request.url ?? '' };
    received.push(one);
    answer(response, one);
  });
  return { ...(await listen(server, address)), received };
}

/** A target that does with a connection whatever `serve` does. */
export function startRawTarget(serve: (socket: Socket) => void) {
  const server = createTcpServer((socket) => {
    serve(socket);
    // Otherwise it would not hear that the other side has gone.
    socket.resume();
  });
  return listen(server);
}

/** Lets a server listen until the test ends, which also ends its connections. */
export async function listen(server: Server, { host, port } = { host: '127.0.0.1', port: 0 }) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const bound = (server.address() as AddressInfo).port;
  return { port: bound, url: `http://${host}:${bound}/hook`, sockets };
}
