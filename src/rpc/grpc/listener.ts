import type { Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import type { Certificates } from '../../platform/certificates.ts';
import { type Address, formatAddress } from '../../platform/net.ts';
import type { Serves } from '../../platform/readiness.ts';
import type { CallerMemory } from '../caller-memory.ts';
import { guardHttp2, http2Options } from '../http2-guard.ts';
import { errors } from '../interceptors/errors.ts';
import { shutdown } from '../interceptors/shutdown.ts';
import { type RefuseHeaders, refuseHeaders } from '../large-headers.ts';
import type { Limits } from '../limits.ts';
import { reflection } from '../reflection/reflection.ts';
import type { Service } from '../services/service.ts';
import type { Serving } from '../serving.ts';
import { addConnectService } from './adapter.ts';
import { answerMessage, answerStatus } from './answers.ts';
import { answeredTerms, beginCalls } from './begin-call.ts';
import { HealthService } from './health.ts';
import {
  http2ServerOptions,
  http2Servers,
  knowsSessions,
  methodHandlers,
  streamCounter,
} from './node-internals.ts';
import { credentials, serverOptions } from './server-options.ts';
import { statusOf } from './status.ts';
import { dispatchStreams } from './stream-dispatch.ts';
import { UnaryFastPath } from './unary-fast-path.ts';
import { UnknownInternals } from './unknown-internals.ts';
import { answerUnknownMethods } from './unknown-methods.ts';

function largestMessage(services: readonly Service[], { maxMessageBytes }: Limits): number {
  const others = services.flatMap(({ terms = {} }) => Object.values(terms));
  return Math.max(maxMessageBytes, ...others.map((each) => each.maxMessageBytes));
}

/** The gRPC listener: our services with health and reflection, on @grpc/grpc-js. */
export class GrpcListener {
  readonly #server: grpc.Server;
  readonly #health: HealthService;
  readonly #stopping = new AbortController();
  readonly #certificates: Certificates | undefined;
  readonly #limits: Limits;
  readonly #memory: CallerMemory;
  readonly #refuseHeaders: RefuseHeaders;
  readonly #fastPath: UnaryFastPath | undefined;
  readonly #unknown: UnknownInternals;
  /** Undefined if they are not known. */
  #sockets: Set<Socket> | undefined;

  constructor(
    serving: Serving,
    certificates: Certificates | undefined,
    { unaryFastPath }: { unaryFastPath: boolean },
  ) {
    const { services, limits, log, memory } = serving;
    // It would write headers that it can't read, credentials among them, to standard error.
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    this.#certificates = certificates;
    this.#limits = limits;
    this.#memory = memory;
    const terms = answeredTerms(services);
    this.#refuseHeaders = refuseHeaders(serving, (stream, headers, error, call) => {
      // A proxy that traces requests may pass a header of its client's on.
      const { answer } = terms.get(headers[':path'] ?? '') ?? {};
      if (answer) answerMessage(stream, answer, { 'x-request-id': call.requestId });
      else answerStatus(stream, statusOf(error, call));
    });
    this.#fastPath = unaryFastPath ? new UnaryFastPath(serving) : undefined;
    this.#unknown = new UnknownInternals(log);
    this.#server = new grpc.Server({
      ...serverOptions(limits, largestMessage(services, limits)),
      interceptors: [beginCalls(serving, this.#unknown)],
    });
    for (const service of services) addConnectService(this.#server, service, serving);
    const names = services.map(({ descriptor }) => descriptor.typeName);
    this.#health = new HealthService(names, limits);
    // Anyone may ask, and often: there is no access rule, and no log line for what is answered.
    addConnectService(this.#server, this.#health.service, { ...serving, interceptors: [errors] });
    const untilStop = [errors, shutdown(this.#stopping.signal)];
    for (const each of reflection(services.map(({ descriptor }) => descriptor.file))) {
      addConnectService(this.#server, each, { ...serving, interceptors: untilStop });
    }
    this.#completeServer();
  }

  /** Sets what `grpc.health.v1` says of each service. */
  setServing(serves: Serves): void {
    this.#health.setServing(serves);
  }

  /** Returns the port that it listens on. */
  listen(address: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      const own = credentials(this.#certificates);
      this.#server.bindAsync(formatAddress(address), own, (error, port) => {
        if (error) return reject(error);
        this.#guardServers();
        this.#unknown.say();
        resolve(port);
      });
    });
  }

  /** Sends GOAWAY, lets calls in flight finish for up to `graceMs`, and closes what is left. */
  async close(graceMs: number): Promise<void> {
    this.#health.close();
    this.#stopping.abort();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        if (this.#sockets) for (const socket of this.#sockets) socket.destroy();
        // It ends no session, and a session that is closing waits for its peer.
        else resolve(this.#server.forceShutdown());
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Sets what grpc-js has no option for. */
  #completeServer(): void {
    const options = http2ServerOptions(this.#server);
    if (options) Object.assign(options, http2Options(this.#limits));
    else this.#unknown.add('http2ServerOptions');
    const handlers = methodHandlers(this.#server);
    if (handlers) answerUnknownMethods(handlers);
    else this.#unknown.add('methodHandlers');
    if (!knowsSessions()) this.#unknown.add('session');
  }

  /** Puts the fast path and our limits on the HTTP/2 servers, which are there once it is bound. */
  #guardServers(): void {
    const servers = http2Servers(this.#server);
    if (!servers) {
      this.#unknown.add('http2Servers');
      return;
    }
    const countStream = streamCounter(this.#server);
    if (!countStream) this.#unknown.add('streamCounter');
    const sockets = new Set<Socket>();
    this.#sockets = sockets;
    for (const http2 of servers) {
      dispatchStreams(http2, this.#fastPath, countStream, this.#limits);
      guardHttp2(http2, this.#limits, this.#memory, this.#refuseHeaders);
      http2.maxConnections = this.#limits.maxConnections;
      http2.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
    }
  }
}
