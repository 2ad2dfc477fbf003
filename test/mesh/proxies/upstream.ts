import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { atEnd } from '../../harness/at-end.ts';

/** A request as the service behind the proxy gets it. */
export type Received = {
  method: string;
  /** As it stands in the request line. */
  path: string;
  /** Every header as it was sent, in order. */
  fields: [name: string, value: string][];
  body: string;
};

export type Upstream = {
  port: number;
  /** What has arrived since this was called last. */
  taken(): Received[];
};

const MAX_HEADERS = 16 * 1024 * 1024;

/** The service behind the proxy: it writes down what it gets, and agrees to every upgrade. */
export async function startUpstream(): Promise<Upstream> {
  let received: Received[] = [];
  const note = (req: IncomingMessage, body: string) => {
    const { method = '', url: path = '', rawHeaders } = req;
    const fields = rawHeaders.flatMap((name, i): [string, string][] =>
      i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? '']] : [],
    );
    received.push({ method, path, fields, body });
  };
  const server = createServer({ maxHeaderSize: MAX_HEADERS }, async (req, res) => {
    const chunks = await req.toArray().catch(() => []);
    note(req, Buffer.concat(chunks).toString('latin1'));
    res.end('served\n');
  });
  server.maxHeadersCount = 0;
  const tunnel = (req: IncomingMessage, socket: Socket) => {
    note(req, '');
    socket.on('error', () => {});
    // RFC 6455, section 4.2.2: some proxies check it.
    const key = `${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
  };
  server.on('upgrade', tunnel).on('connect', tunnel);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    taken() {
      const taken = received;
      received = [];
      return taken;
    },
  };
}

/** All values of a header, in whichever case its name was sent. */
export function valuesOf({ fields }: Received, name: string): string[] {
  return fields.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}
