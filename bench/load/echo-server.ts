import { type DescMethodUnary, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { Authorization } from '../../gen/envoy/service/auth/v3/external_auth_pb.ts';
import { pathOf } from './question.ts';

/**
 * The baseline that the service is measured against: @grpc/grpc-js with the codecs of protobuf-es. It
 * reads the same requests, writes the same answers, and does nothing else. Its arguments are the path
 * of the method, and the answer in base64.
 */
const METHODS: readonly DescMethodUnary[] = [
  SessionService.method.introspectToken,
  ApiKeyService.method.verifyApiKey,
  Authorization.method.check,
];

const [path = '', encoded = ''] = process.argv.slice(2);
const method = METHODS.find((each) => pathOf(each) === path);
if (!method) throw new Error(`the echo has no method ${path}`);
const { input, output, localName } = method;
const answer = fromBinary(output, Buffer.from(encoded, 'base64'));

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    [localName]: {
      path,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: Message) => Buffer.from(toBinary(output, message)),
      responseDeserialize: () => answer,
    },
  },
  { [localName]: (_call: unknown, done: grpc.sendUnaryData<unknown>) => done(null, answer) },
);

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stderr.write(`ready on 127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => process.exit());
