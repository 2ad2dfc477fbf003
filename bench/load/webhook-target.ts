import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { makeCertificate } from '../../test/http/certificates.ts';
import type { Cleanups } from '../service/cleanups.ts';

/** A target of webhooks in this process, and what a service needs to send to it. */
export class WebhookTarget {
  readonly url: string;
  /** For a service that sends to it. */
  readonly env: Readonly<Record<string, string>>;
  /** Called with the id of each message that has arrived. */
  onMessage: (id: string) => void = () => {};
  /** How many messages it has answered. */
  answered = 0;

  private constructor(server: Server, ca: string) {
    const { port } = server.address() as AddressInfo;
    this.url = `https://127.0.0.1:${port}`;
    this.env = {
      NODE_EXTRA_CA_CERTS: ca,
      COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.1',
      COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: String(port),
    };
  }

  /** Starts one that answers at once, except on paths that begin with `/hang`, where it never does. */
  static async start(cleanups: Cleanups): Promise<WebhookTarget> {
    const { cert, key } = makeCertificate(cleanups.directory(), 'target');
    const sockets = new Set<Socket>();
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.add(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const target = new WebhookTarget(server, cert);
    server.on('request', (request, response) => {
      request.resume();
      if (request.url?.startsWith('/hang')) return;
      request.once('end', () => {
        response.writeHead(204).end();
        target.answered += 1;
        target.onMessage(String(request.headers['webhook-id']));
      });
    });
    return target;
  }
}
