import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createClient, type Transport } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../../gen/countersign/v1/session_service_pb.ts';
import type { Child } from '../../child.ts';
import type { Random } from './random.ts';
import type { Step } from './scenario.ts';

/** What good clients wrote, connection by connection: by gRPC, Connect over HTTP/2, and HTTP/1.1. */
export type Recorded = Record<'grpc' | 'http' | 'http1', Buffer[]>;

/** Lets good clients talk to the service, and keeps every byte that they send. */
export async function recordConversations(service: Child): Promise<Recorded> {
  const compression = { sendCompression: compressionGzip, compressMinBytes: 0 };
  const viaGrpc = (more: object) => (baseUrl: string) => {
    const sessionManager = new Http2SessionManager(baseUrl);
    return [
      createGrpcTransport({ baseUrl, sessionManager, ...more }),
      () => sessionManager.abort(),
    ] as const;
  };
  const viaHttp2 = (baseUrl: string) => {
    const sessionManager = new Http2SessionManager(baseUrl);
    return [
      createConnectTransport({ baseUrl, httpVersion: '2', sessionManager }),
      () => sessionManager.abort(),
    ] as const;
  };
  const viaHttp1 =
    (create: typeof createConnectTransport | typeof createGrpcWebTransport) => (baseUrl: string) =>
      [create({ baseUrl, httpVersion: '1.1', nodeOptions: { agent: false } }), () => {}] as const;
  return {
    grpc: [
      ...(await record(service.grpcAddress, viaGrpc({}))),
      ...(await record(service.grpcAddress, viaGrpc(compression))),
    ],
    http: await record(service.httpAddress, viaHttp2),
    http1: [
      ...(await record(service.httpAddress, viaHttp1(createConnectTransport))),
      ...(await record(service.httpAddress, viaHttp1(createGrpcWebTransport))),
    ],
  };
}

type Connected = readonly [transport: Transport, close: () => void];

async function record(address: string, via: (baseUrl: string) => Connected): Promise<Buffer[]> {
  const recorder = new Recorder(address);
  const [transport, close] = via(await recorder.listen());
  await converse(transport);
  close();
  return recorder.close();
}

/** Calls that succeed, calls that are refused, and streams. */
async function converse(transport: Transport): Promise<void> {
  const sessions = createClient(SessionService, transport);
  const auth = createClient(AuthService, transport);
  const leaving = new AbortController();
  const stream = sessions.watchRevocations({}, { signal: leaving.signal });
  const listening = stream[Symbol.asyncIterator]()
    .next()
    .catch(() => {});
  await Promise.allSettled([
    sessions.introspectToken({ token: 'x' }),
    sessions.introspectToken(
      { token: 'x'.repeat(300) },
      { headers: { authorization: 'Bearer x' } },
    ),
    sessions.batchIntrospectTokens(
      { requests: [{ token: 'x' }, { token: 'y' }] },
      { timeoutMs: 20_000 },
    ),
    sessions.listSessions({}),
    auth.refreshToken({ refreshToken: 'x' }),
  ]);
  leaving.abort();
  await listening;
}

/** Stands before a listener and keeps what passes towards it. */
class Recorder {
  readonly #kept: Buffer[][] = [];
  readonly #server;

  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#server = createServer((near) => {
      const kept: Buffer[] = [];
      this.#kept.push(kept);
      const far = connect(Number(port), hostname);
      near.on('data', (bytes) => kept.push(bytes)).on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Buffer[] {
    this.#server.close();
    return this.#kept.map((chunks) => Buffer.concat(chunks)).filter(({ length }) => length > 0);
  }
}

/** A good conversation with bits flipped, and pieces taken out, repeated or put in. */
export function altered(random: Random, conversation: Buffer): Step[] {
  const bytes = Buffer.from(conversation);
  for (let flips = random.below(6); flips > 0; flips -= 1) {
    const place = random.below(bytes.length);
    bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << random.below(8)), place);
  }
  const at = random.below(bytes.length);
  const to = Math.min(at + random.between(1, 40), bytes.length);
  const [before, piece, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, to),
    bytes.subarray(to),
  ];
  return random.pick([
    [bytes],
    [before, after],
    [before, piece, piece, after],
    [before, random.bytes(random.between(1, 20)), piece, after],
    [before, random.between(1, 20), piece, after],
    [before],
  ]);
}
