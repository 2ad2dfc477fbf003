import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Sits between the service and a server of ours, to imitate what networks and failovers do. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ near: Socket; far: Socket }>();
  #state: 'open' | 'frozen' | 'down' = 'open';

  constructor(targetUrl: string) {
    const { hostname, port } = new URL(targetUrl);
    this.#server = createServer((near) => {
      if (this.#state === 'down') return near.destroy();
      const far = connect(Number(port), hostname);
      const pair = { near, far };
      this.#pairs.add(pair);
      near.on('data', (bytes) => far.write(bytes)).on('error', () => far.destroy());
      far.on('data', (bytes) => near.write(bytes)).on('error', () => near.destroy());
      near.on('close', () => far.destroy());
      far.on('close', () => {
        near.destroy();
        this.#pairs.delete(pair);
      });
      if (this.#state === 'frozen') this.#pause(pair);
    });
  }

  /** Returns the target's URL through the proxy. */
  async listen(targetUrl: string): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const url = new URL(targetUrl);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** Connections stay, new ones are accepted, and nothing passes. */
  freeze(): void {
    this.#state = 'frozen';
    for (const pair of this.#pairs) this.#pause(pair);
  }

  /** Connections are broken, and new ones too. */
  down(): void {
    this.#state = 'down';
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** As if nothing had happened. */
  open(): void {
    this.#state = 'open';
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  close(): void {
    this.down();
    this.#server.close();
  }

  #pause({ near, far }: { near: Socket; far: Socket }): void {
    near.pause();
    far.pause();
  }
}
