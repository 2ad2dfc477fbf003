import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { principalOf, serverInterceptor } from '../../packages/verifier/src/grpc-js.ts';
import { createVerifier } from '../../packages/verifier/src/index.ts';
import { ShopService } from '../../test/gen/countersign/test/v1/shop_service_pb.ts';

/**
 * A service of somebody else's on @grpc/grpc-js with the codecs of protobuf-es. Its arguments are the issuer
 * and the URL of the service whose tokens it verifies; without them it lets anyone call.
 */
const [issuer, baseUrl] = process.argv.slice(2);
/** As long as a real subject. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

const server = new grpc.Server({ 'grpc.enable_channelz': 0, ...(await guarded()) });
const definition = Object.fromEntries(
  [ShopService.method.me, ShopService.method.watch].map((method) => [
    method.localName,
    {
      path: `/${ShopService.typeName}/${method.name}`,
      requestStream: false,
      responseStream: method.methodKind === 'server_streaming',
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: object) =>
        Buffer.from(toBinary(method.output, create(method.output, { ...message }))),
      responseDeserialize: () => ({}),
    },
  ]),
);
server.addService(definition, {
  me: (call: grpc.ServerUnaryCall<object, object>, done: grpc.sendUnaryData<object>) =>
    done(null, { subject: principalOf(call)?.subject ?? NOBODY }),
  // Says that it is open, and then nothing: only its credential ends it.
  watch: (call: grpc.ServerWritableStream<object, object>) => call.write({ index: 1 }),
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stderr.write(`ready on 127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => process.exit());

async function guarded(): Promise<grpc.ServerOptions> {
  if (issuer === undefined || baseUrl === undefined) return {};
  const verifier = createVerifier({ issuer, audience: issuer, baseUrl });
  await verifier.ready();
  const rules = { [`${ShopService.typeName}/Watch`]: { signedIn: true } } as const;
  return { interceptors: [serverInterceptor(verifier, { services: [ShopService], rules })] };
}
