import { readFileSync } from 'node:fs';
import { createServer as createHttp1Server, type Server } from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import type { Address, TlsFiles } from '../platform/net.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect-listener.ts';
import * as limits from '../rpc/limits.ts';

export type HttpHandler = (req: NodeRequest, res: NodeResponse) => void;

const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 75_000;
/** The first bytes of HTTP/2 with prior knowledge, RFC 9113 section 3.4. */
const HTTP2_PREFACE = 'PRI';

const http2Options = {
  maxSessionMemory: limits.MAX_SESSION_MEMORY_MIB,
  maxHeaderListPairs: 100,
  settings: {
    maxConcurrentStreams: limits.MAX_STREAMS,
    maxHeaderListSize: limits.MAX_HEADER_BYTES,
    enableConnectProtocol: false,
  },
};

const http1Options = {
  maxHeaderSize: limits.MAX_HEADER_BYTES,
  headersTimeout: HEADERS_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: 5000,
};

/** HTTP/1.1 and HTTP/2 on one port: by ALPN with TLS, by the first bytes without. */
export class HttpServer {
  readonly #listening: TcpServer;
  readonly #closers: (() => void)[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #reload: () => void;

  constructor(handler: HttpHandler, tls: TlsFiles | undefined) {
    if (tls) {
      const server = createSecureServer(
        { ...http2Options, ...http1Options, ...readTls(tls), allowHTTP1: true },
        handler,
      );
      this.#listening = server;
      this.#reload = () => server.setSecureContext(readTls(tls));
      this.#track(server);
    } else {
      this.#reload = () => {};
      this.#listening = this.#plain(handler);
    }
    this.#listening.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  #plain(handler: HttpHandler): TcpServer {
    const http1: Server = createHttp1Server(http1Options, handler);
    const http2: Http2Server = createHttp2Server(http2Options, handler);
    this.#track(http2);
    this.#closers.push(() => http1.closeIdleConnections());
    return createTcpServer((socket) => {
      // Who connects and says nothing is not waited for.
      socket.setTimeout(HEADERS_TIMEOUT_MS, () => socket.destroy());
      socket.on('error', () => socket.destroy());
      socket.once('data', (first: Buffer) => {
        socket.setTimeout(0);
        socket.removeAllListeners('timeout');
        socket.pause();
        socket.unshift(first);
        const isHttp2 =
          first.subarray(0, HTTP2_PREFACE.length).toString('latin1') === HTTP2_PREFACE;
        (isHttp2 ? http2 : http1).emit('connection', socket);
        process.nextTick(() => socket.resume());
      });
    });
  }

  #track(server: Http2Server | Http2SecureServer): void {
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setTimeout(limits.IDLE_TIMEOUT_MS, () => session.close());
      session.on('error', () => session.destroy());
    });
    // A broken handshake or frame ends its connection and nothing else.
    server.on('sessionError', () => {});
  }

  /** Gives the port it got. */
  listen({ host, port }: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#listening.once('error', reject);
      this.#listening.listen(port, host, () => {
        resolve((this.#listening.address() as AddressInfo).port);
      });
    });
  }

  /** Takes the certificate files as they are now, for connections from now on. */
  reloadTls(): void {
    this.#reload();
  }

  /** Stops listening, sends GOAWAY, and closes what is still open after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listening.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    for (const close of this.#closers) close();
    // Connections that became idle since: HTTP/1.1 has no way to tell the client.
    const idle = setInterval(() => {
      for (const close of this.#closers) close();
    }, 50);
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearInterval(idle);
    clearTimeout(timer);
  }
}

function readTls({ certFile, keyFile, clientCaFile }: TlsFiles) {
  return {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ...(clientCaFile === undefined
      ? {}
      : { ca: readFileSync(clientCaFile), requestCert: true, rejectUnauthorized: true }),
  };
}
