import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Client,
  type ConnectRouter,
  createClient,
  type Interceptor,
} from '@connectrpc/connect';
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import * as connect from '../../packages/verifier/src/connect.ts';
import type { GateOptions } from '../../packages/verifier/src/gate.ts';
import * as grpc from '../../packages/verifier/src/grpc-js.ts';
import type { Verifier } from '../../packages/verifier/src/index.ts';
import { ShopService, type WatchRequest } from '../gen/countersign/test/v1/shop_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';

/** A server of somebody else's, and its clients. */
export type Shop = {
  url: string;
  client(headers?: Record<string, string>): Client<typeof ShopService>;
  /** How many streams a handler was told to stop. */
  stopped: () => number;
  /** How many streams of it the verifier holds. */
  open: () => number;
};

export type OpenShop = (verifier: Verifier, options?: Partial<GateOptions>) => Promise<Shop>;

const bearing = (headers: Record<string, string>) => [
  ((next) => (req) => {
    for (const [name, value] of Object.entries(headers)) req.header.set(name, value);
    return next(req);
  }) satisfies Interceptor,
];

/** Served by Connect, over HTTP/1.1. */
export const connectShop: OpenShop = (verifier, options) => openConnectShop(verifier, options);

/** The same over HTTP/2, which streams in both directions need. */
export const connectShopOverHttp2: OpenShop = (verifier, options) =>
  openConnectShop(verifier, options, '2');

async function openConnectShop(
  verifier: Verifier,
  options: Partial<GateOptions> = {},
  httpVersion: '1.1' | '2' = '1.1',
): Promise<Shop> {
  let stopped = 0;
  const subjectOf = (context: Parameters<typeof connect.principalOf>[0]) => ({
    subject: connect.principalOf(context)?.subject ?? '',
  });
  const routes = ({ service }: ConnectRouter) =>
    service(ShopService, {
      greet: (_, context) => subjectOf(context),
      me: (_, context) => subjectOf(context),
      pay: () => ({}),
      list: (_, context) => subjectOf(context),
      async *watch({ deaf }, { signal }) {
        signal.addEventListener('abort', () => {
          stopped += 1;
        });
        yield { index: 0 };
        if (deaf) await sleep(60_000, undefined, { ref: false });
        for (let index = 1; !signal.aborted; index += 1) {
          await sleep(20);
          yield { index };
        }
      },
      async upload(requests) {
        let count = 0;
        for await (const _ of requests) count += 1;
        return { count };
      },
      async *chat(requests) {
        for await (const { text } of requests) yield { text };
      },
    });
  const interceptors = [
    connect.serverInterceptor(verifier, { services: [ShopService], ...options }),
  ];
  const adapter = connectNodeAdapter({ routes, interceptors });
  const server = httpVersion === '2' ? createHttp2Server(adapter) : createServer(adapter);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  if ('closeAllConnections' in server) atEnd(() => server.closeAllConnections());
  atEnd(() => server.close());
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  atEnd(() => sessionManager.abort());
  const client = (headers = {}) => {
    const given = { baseUrl, interceptors: bearing(headers) };
    const transport =
      httpVersion === '2'
        ? createConnectTransport({ ...given, httpVersion, sessionManager })
        : createConnectTransport({ ...given, httpVersion });
    return createClient(ShopService, transport);
  };
  return { url: baseUrl, client, stopped: () => stopped, open: () => verifier.streams.size };
}

/** Served by grpc-js, by the verifier's interceptor and others. */
export async function grpcShop(
  verifier: Verifier,
  options: Partial<GateOptions> = {},
  others: readonly ServerInterceptor[] = [],
): Promise<Shop> {
  let stopped = 0;
  const first = grpc.serverInterceptor(verifier, { services: [ShopService], ...options });
  const interceptors = [first, ...others];
  const server = new Server({ interceptors });
  const subject: handleUnaryCall<object, object> = (call, done) =>
    done(null, { subject: grpc.principalOf(call)?.subject ?? '' });
  const pay: handleUnaryCall<object, object> = (_, done) => done(null, {});
  const watch: handleServerStreamingCall<WatchRequest, object> = (call) => {
    let index = 0;
    call.write({ index });
    call.on('cancelled', () => {
      stopped += 1;
      if (!call.request.deaf) clearInterval(timer);
    });
    const timer = setInterval(() => call.write({ index: ++index }), 20).unref();
    atEnd(() => clearInterval(timer));
  };
  const upload: handleClientStreamingCall<object, object> = (call, done) => {
    let count = 0;
    call.on('data', () => {
      count += 1;
    });
    call.on('end', () => done(null, { count }));
  };
  const chat: handleBidiStreamingCall<object, object> = (call) => {
    call.on('data', (message: object) => call.write(message));
    call.on('end', () => call.end());
  };
  const handlers = { greet: subject, me: subject, list: subject, pay, watch, upload, chat };
  server.addService(definitionOf(), handlers);
  const credentials = ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  atEnd(() => server.forceShutdown());
  const baseUrl = `http://127.0.0.1:${port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  atEnd(() => sessionManager.abort());
  const client = (headers = {}) =>
    createClient(
      ShopService,
      createGrpcTransport({ baseUrl, sessionManager, interceptors: bearing(headers) }),
    );
  return { url: baseUrl, client, stopped: () => stopped, open: () => verifier.streams.size };
}

/** The service as grpc-js takes it, by the generated messages. */
function definitionOf(): ServiceDefinition {
  const entries = ShopService.methods.map((method) => [
    method.localName,
    {
      path: `/${ShopService.typeName}/${method.name}`,
      requestStream:
        method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
      responseStream:
        method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
      requestSerialize: (message: object) =>
        Buffer.from(toBinary(method.input, create(method.input, { ...message }))),
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      responseSerialize: (message: object) =>
        Buffer.from(toBinary(method.output, create(method.output, { ...message }))),
      responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
    },
  ]);
  return Object.fromEntries(entries);
}
