import { type DescMethodUnary, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';

/**
 * The baseline that the service is measured against: @grpc/grpc-js with the codecs of protobuf-es. It
 * reads the same requests, writes the same answers, and does nothing else. Its arguments are the
 * method, and the answer in base64.
 */
const METHODS: Record<string, DescMethodUnary> = {
  introspectToken: SessionService.method.introspectToken,
  verifyApiKey: ApiKeyService.method.verifyApiKey,
};

const [name = '', encoded = ''] = process.argv.slice(2);
const method = METHODS[name];
if (!method) throw new Error(`the echo has no method ${name}`);
const { input, output } = method;
const answer = fromBinary(output, Buffer.from(encoded, 'base64'));

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    [name]: {
      path: `/${method.parent.typeName}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: Message) => Buffer.from(toBinary(output, message)),
      responseDeserialize: () => answer,
    },
  },
  { [name]: (_call: unknown, done: grpc.sendUnaryData<unknown>) => done(null, answer) },
);

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stderr.write(`ready on 127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => process.exit());
