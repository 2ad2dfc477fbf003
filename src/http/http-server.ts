import {
  createServer as createHttp1Server,
  IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
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
import type { Certificates } from '../platform/certificates.ts';
import type { Address } from '../platform/net.ts';
import type { Networks } from '../platform/networks.ts';
import { plainAddress } from '../rpc/caller-address.ts';
import type { CallerMemory } from '../rpc/caller-memory.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';
import { guardHttp2, http2Options } from '../rpc/http2-guard.ts';
import type { RefuseHeaders } from '../rpc/large-headers.ts';
import type { Limits } from '../rpc/limits.ts';
import { Http1Answer, Http1Guard, http1Settings, parseWhatIsRead } from './http1-guard.ts';
import { answerUnreadable, refuseConnect } from './unreadable-http1.ts';

export type HttpHandler = (req: NodeRequest, res: NodeResponse) => void;

/** What the listener is opened with: its certificate, if it has one, and what bounds its callers. */
export type HttpEdge = {
  certificates: Certificates | undefined;
  limits: Limits;
  memory: CallerMemory;
  /** Answers by HTTP/2 what has headers over the limit. */
  refuse: RefuseHeaders;
  /** The addresses of proxies, which ask about requests with large headers. */
  proxies: Networks;
};

/** The first bytes of HTTP/2 with prior knowledge, RFC 9113 section 3.4. */
const HTTP2_PREFACE = 'PRI';

/** What serves HTTP/1.1: a separate server, or the one that also serves HTTP/2. */
type Http1 = Pick<Server, 'close' | 'closeIdleConnections'>;

/** HTTP/1.1 and HTTP/2 on one port: by ALPN with TLS, by the first bytes without. */
export class HttpServer {
  readonly #limits: Limits;
  readonly #memory: CallerMemory;
  readonly #refuse: RefuseHeaders;
  readonly #proxies: Networks;
  readonly #listening: TcpServer;
  readonly #http1: Http1;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(handler: HttpHandler, edge: HttpEdge) {
    const { certificates, limits, memory, refuse, proxies } = edge;
    this.#limits = limits;
    this.#memory = memory;
    this.#refuse = refuse;
    this.#proxies = proxies;
    const guard = new Http1Guard(limits, memory);
    const onRequest: HttpHandler = (req, res) => {
      if ('stream' in req || guard.admit(req, res as ServerResponse)) handler(req, res);
    };
    if (certificates) {
      const tls = () => tlsOptions(certificates);
      const options = {
        ...http2Options(limits),
        ...tls(),
        allowHTTP1: true,
        Http1ServerResponse: Http1Answer,
      };
      const server = Object.assign(createSecureServer(options, onRequest), http1Settings(limits));
      this.#listening = server;
      // Its type lacks `closeIdleConnections`, which it has.
      this.#http1 = server as object as Http1;
      certificates.onChange(() => server.setSecureContext(tls()));
      answerUnreadable(server, limits);
      refuseConnect(server);
      this.#track(server);
      server.prependListener('secureConnection', (socket) => this.#limitHeaders(server, socket));
      server.on('secureConnection', (socket) => {
        if (socket.alpnProtocol !== 'h2') parseWhatIsRead(socket);
      });
    } else {
      const http1 = Object.assign(
        createHttp1Server({ IncomingMessage, ServerResponse: Http1Answer }, onRequest),
        http1Settings(limits),
      );
      answerUnreadable(http1, limits);
      refuseConnect(http1);
      this.#http1 = http1;
      this.#listening = this.#plain(http1, createHttp2Server(http2Options(limits), onRequest));
    }
    this.#listening.maxConnections = limits.maxConnections;
    this.#listening.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  #plain(http1: Server, http2: Http2Server): TcpServer {
    this.#track(http2);
    // It never listens itself; this event starts the timer that checks its connections' timeouts.
    http1.emit('listening');
    const limitHeaders = (socket: Socket) => this.#limitHeaders(http1, socket);
    // As node's own servers do: what is written is sent.
    return createTcpServer({ noDelay: true }, (socket) => {
      // A caller who connects and sends nothing is not waited for.
      socket.setTimeout(this.#limits.headersTimeoutMs, () => socket.destroy());
      socket.on('error', () => socket.destroy());
      let start = Buffer.alloc(0);
      socket.on('data', function decide(chunk: Buffer) {
        start = Buffer.concat([start, chunk]);
        const first = start.toString('latin1', 0, HTTP2_PREFACE.length);
        const isHttp2 = first === HTTP2_PREFACE;
        if (!isHttp2 && HTTP2_PREFACE.startsWith(first)) return;
        socket.off('data', decide);
        socket.setTimeout(0);
        socket.removeAllListeners('timeout');
        socket.pause();
        socket.unshift(start);
        if (!isHttp2) limitHeaders(socket);
        (isHttp2 ? http2 : http1).emit('connection', socket);
        process.nextTick(() => socket.resume());
      });
    });
  }

  /** Node reads the limit of a connection from its server, when the connection begins. */
  #limitHeaders(server: object, { remoteAddress = '' }: Socket): void {
    const { maxHeaderBytes, maxProxiedHeaderBytes } = this.#limits;
    const isProxy = this.#proxies.includes(plainAddress(remoteAddress));
    Object.assign(server, { maxHeaderSize: isProxy ? maxProxiedHeaderBytes : maxHeaderBytes });
  }

  #track(server: Http2Server | Http2SecureServer): void {
    guardHttp2(server, this.#limits, this.#memory, this.#refuse);
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setTimeout(this.#limits.idleTimeoutMs, () => session.close());
    });
  }

  /** Returns the port that it listens on. */
  listen({ host, port }: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#listening.once('error', reject);
      this.#listening.listen(port, host, () => {
        resolve((this.#listening.address() as AddressInfo).port);
      });
    });
  }

  /** Stops listening, sends GOAWAY, and closes what is still open after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listening.close(() => resolve()));
    this.#http1.close();
    for (const session of this.#sessions) session.close();
    // HTTP/1.1 can't tell the client to leave: its connections are closed when they become idle.
    const idle = setInterval(() => this.#http1.closeIdleConnections(), 50);
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearInterval(idle);
    clearTimeout(timer);
  }
}

function tlsOptions({ current: { cert, key, ca } }: Certificates) {
  const clients = ca ? { ca, requestCert: true, rejectUnauthorized: true } : {};
  return { cert, key, ...clients };
}
