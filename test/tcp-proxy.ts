import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Sits between the service and a server of ours, to imitate what networks and failovers do. */
export class TcpProxy {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #weather = { lateMs: 0, bytes: Number.POSITIVE_INFINITY };
  #state: 'open' | 'frozen' | 'down' | 'lost' | 'reset' = 'open';

  constructor(targetUrl: string) {
    const { hostname, port } = new URL(targetUrl);
    this.#server = createServer((near) => {
      if (this.#state === 'down') return near.destroy();
      if (this.#state === 'reset') return near.resetAndDestroy();
      const link = new Link(near, connect(Number(port), hostname), { ...this.#weather });
      this.#links.add(link);
      near.once('close', () => this.#links.delete(link));
      if (this.#state === 'frozen') link.pause();
      if (this.#state === 'lost') link.isLost = true;
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
    for (const link of this.#links) link.pause();
  }

  /** Connections are broken, and new ones too. */
  down(): void {
    this.#state = 'down';
    for (const link of this.#links) link.destroy();
  }

  /** Nothing passes on any connection, and what was sent on one of them never will. */
  lose(): void {
    this.#state = 'lost';
    for (const link of this.#links) link.isLost = true;
  }

  /** Connections are reset, and new ones too. */
  reset(): void {
    this.#state = 'reset';
    for (const link of this.#links) link.reset();
  }

  /** Everything arrives later by this, on connections that are there and on new ones. */
  delay(ms: number): void {
    this.#weather.lateMs = ms;
    for (const link of this.#links) link.lateMs = ms;
  }

  /** Each connection breaks when the server has sent this much more, and each new one too. */
  cutAfter(bytes: number): void {
    this.#weather.bytes = bytes;
    for (const link of this.#links) link.bytes = bytes;
  }

  /** As if nothing had happened, except that connections that are broken or lost stay so. */
  open(): void {
    this.#state = 'open';
    this.delay(0);
    this.cutAfter(Number.POSITIVE_INFINITY);
    for (const link of this.#links) link.resume();
  }

  close(): void {
    this.down();
    this.#server.close();
  }
}

type Waiting = { at: number; bytes: Buffer; to: Socket };

/** A connection of the service, and the one to the server that belongs to it. */
class Link {
  isLost = false;
  lateMs: number;
  bytes: number;
  readonly #near: Socket;
  readonly #far: Socket;
  /** What is late, in order: for both sides, since all of it is late by the same. */
  readonly #waiting: Waiting[] = [];

  constructor(near: Socket, far: Socket, { lateMs, bytes }: { lateMs: number; bytes: number }) {
    this.#near = near;
    this.#far = far;
    this.lateMs = lateMs;
    this.bytes = bytes;
    near.on('data', (chunk) => this.#pass(chunk, far)).on('error', () => far.destroy());
    far.on('data', (chunk) => this.#answer(chunk)).on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    far.on('close', () => {
      if (!this.isLost) near.destroy();
    });
  }

  pause(): void {
    this.#near.pause();
    this.#far.pause();
  }

  resume(): void {
    this.#near.resume();
    this.#far.resume();
  }

  destroy(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  reset(): void {
    this.#near.resetAndDestroy();
    this.#far.destroy();
  }

  #answer(chunk: Buffer): void {
    this.#pass(chunk.subarray(0, this.bytes), this.#near);
    this.bytes -= chunk.length;
    if (this.bytes <= 0) this.#near.end(() => this.destroy());
  }

  #pass(bytes: Buffer, to: Socket): void {
    if (this.isLost) return;
    if (this.lateMs === 0 && this.#waiting.length === 0) return void to.write(bytes);
    this.#waiting.push({ at: performance.now() + this.lateMs, bytes, to });
    if (this.#waiting.length === 1) this.#deliverLater();
  }

  #deliverLater(): void {
    const wait = (this.#waiting[0]?.at ?? 0) - performance.now();
    setTimeout(
      () => {
        while (this.#waiting[0] && this.#waiting[0].at <= performance.now()) {
          const { bytes, to } = this.#waiting.shift() as Waiting;
          if (to.writable) to.write(bytes);
        }
        if (this.#waiting.length > 0) this.#deliverLater();
      },
      Math.max(wait, 0),
    );
  }
}
