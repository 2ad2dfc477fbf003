import { fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import {
  IntrospectTokenRequestSchema,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
  SessionService,
} from '../gen/countersign/v1/session_service_pb.ts';

/**
 * What the service is measured against: @grpc/grpc-js with the codecs of protobuf-es, which reads the
 * same requests and writes the same answers, and does nothing else. The answer to give is the first
 * argument, in base64.
 */
const answer = fromBinary(
  IntrospectTokenResponseSchema,
  Buffer.from(process.argv[2] ?? '', 'base64'),
);
const method = SessionService.method.introspectToken;

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    introspectToken: {
      path: `/${SessionService.typeName}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(IntrospectTokenRequestSchema, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: IntrospectTokenResponse) =>
        Buffer.from(toBinary(IntrospectTokenResponseSchema, message)),
      responseDeserialize: () => answer,
    },
  },
  { introspectToken: (_call: unknown, done: grpc.sendUnaryData<unknown>) => done(null, answer) },
);

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stderr.write(`ready on 127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => process.exit());
