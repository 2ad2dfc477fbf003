import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from '../gen/connectrpc/conformance/v1/service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { type Service, type StartOptions, startReplica, startService } from '../harness/service.ts';
import { conformanceService } from './conformance-service.ts';

const LENGTH_BYTES = 4;
const GRPC = 2;

/** The real service, in as many configurations as Connect's conformance runner asks for. */
export class ServerUnderTest {
  /** The socket that `test/conformance/forward.ts` connects to. */
  readonly socketPath: string;
  readonly #directory: string;
  readonly #options: StartOptions;
  readonly #first: Service;
  readonly #byTls = new Map<string, Promise<Service>>();

  private constructor(first: Service, options: StartOptions) {
    this.#directory = temporaryDirectory();
    this.socketPath = join(this.#directory, 'server.sock');
    this.#first = first;
    this.#options = options;
  }

  static async start(env: Record<string, string>, limitBytes: number): Promise<ServerUnderTest> {
    const limits = { maxMessageBytes: limitBytes };
    const options = { env, limits, services: [conformanceService] };
    const server = new ServerUnderTest(await startService(options), options);
    const listening = createServer((socket) => void server.#answer(socket));
    listening.listen(server.socketPath);
    await once(listening, 'listening');
    atEnd(() => listening.close());
    return server;
  }

  async #answer(socket: Socket): Promise<void> {
    socket.on('error', () => {});
    const request = fromBinary(ServerCompatRequestSchema, await message(socket));
    const { app } = await this.#serviceFor(request);
    const address = request.protocol === GRPC ? app.grpcAddress : app.httpAddress;
    const [host = '', port] = address.split(':');
    const pemCert = request.serverCreds?.cert ?? new Uint8Array();
    const answer = create(ServerCompatResponseSchema, { host, port: Number(port), pemCert });
    const bytes = toBinary(ServerCompatResponseSchema, answer);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(bytes.length);
    socket.write(Buffer.concat([length, bytes]));
  }

  #serviceFor({ serverCreds, clientTlsCert }: ServerCompatRequest): Promise<Service> {
    if (!serverCreds) return Promise.resolve(this.#first);
    const name = clientTlsCert.length > 0 ? 'mutual' : 'tls';
    const running = this.#byTls.get(name);
    if (running) return running;
    const file = (kind: string, pem: Uint8Array) => {
      const path = join(this.#directory, `${name}-${kind}.pem`);
      writeFileSync(path, pem);
      return path;
    };
    const env = {
      COUNTERSIGN_TLS_CERT_FILE: file('cert', serverCreds.cert),
      COUNTERSIGN_TLS_KEY_FILE: file('key', serverCreds.key),
      ...(clientTlsCert.length > 0 && {
        COUNTERSIGN_TLS_CLIENT_CA_FILE: file('client', clientTlsCert),
      }),
    };
    const starting = startReplica(this.#first, {
      ...this.#options,
      env: { ...this.#options.env, ...env },
    });
    this.#byTls.set(name, starting);
    return starting;
  }
}

/** The one message that comes, behind its length. */
async function message(socket: Socket): Promise<Uint8Array> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.length < LENGTH_BYTES ? Infinity : LENGTH_BYTES + bytes.readUInt32BE();
    if (bytes.length >= end) return bytes.subarray(LENGTH_BYTES, end);
  }
  throw new Error('the runner has not said what it wants');
}
