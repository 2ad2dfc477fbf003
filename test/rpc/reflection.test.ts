import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { before, describe, it } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type Client, Code, createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { DATA, frame, HEADERS, RawHttp2, RST_STREAM, SETTINGS } from './frames.ts';

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const AUTH = 'countersign/v1/auth_service.proto';

type Asked = MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest'];

describe('ServerReflectionInfo', () => {
  let service: Service;
  let client: Client<typeof ServerReflection>;

  before(async () => {
    service = await startService();
    const baseUrl = `http://${service.app.grpcAddress}`;
    client = createClient(ServerReflection, createGrpcTransport({ baseUrl }));
  });

  async function ask(messageRequest: NonNullable<Asked>) {
    async function* one() {
      yield { host: 'a', messageRequest };
    }
    const [answer, ...more] = await Array.fromAsync(client.serverReflectionInfo(one()));
    assert.equal(more.length, 0);
    assert.equal(answer?.validHost, 'a');
    assert.equal(answer?.originalRequest?.messageRequest.case, messageRequest.case);
    return answer.messageResponse;
  }

  async function filesOf(messageRequest: NonNullable<Asked>): Promise<string[]> {
    const answer = await ask(messageRequest);
    assert.ok(answer.case === 'fileDescriptorResponse', answer.case);
    return answer.value.fileDescriptorProto.map(
      (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    );
  }

  it('serves what the schema says in its comments, and its own options', async () => {
    const symbol = 'countersign.v1.SessionService';
    const answer = await ask({ case: 'fileContainingSymbol', value: symbol });
    assert.ok(answer.case === 'fileDescriptorResponse');
    const [bytes = new Uint8Array()] = answer.value.fileDescriptorProto;
    const {
      name,
      sourceCodeInfo,
      service: services,
    } = fromBinary(FileDescriptorProtoSchema, bytes);
    assert.equal(name, 'countersign/v1/session_service.proto');
    const comments = sourceCodeInfo?.location.map(({ leadingComments }) => leadingComments).join();
    assert.match(comments ?? '', /SessionService lists and ends sessions/);
    const options = services[0]?.method[0]?.options;
    // The access rule, of which a general descriptor knows only the bytes.
    assert.ok(options?.$unknown?.some(({ no }) => no === 50_631));
  });

  it('answers on the HTTP listener too, by HTTP/2', async () => {
    const baseUrl = `http://${service.app.httpAddress}`;
    const transport = createConnectTransport({ baseUrl, httpVersion: '2' });
    async function* one() {
      yield { messageRequest: { case: 'listServices', value: '' } } as const;
    }
    const asked = createClient(ServerReflection, transport).serverReflectionInfo(one());
    const [answer] = await Array.fromAsync(asked);
    assert.ok(answer?.messageResponse.case === 'listServicesResponse');
    const names = answer.messageResponse.value.service.map(({ name }) => name);
    assert.ok(names.includes('envoy.service.auth.v3.Authorization'));
  });

  it('says to a caller by gRPC on the HTTP listener where gRPC is', async () => {
    const baseUrl = `http://${service.app.httpAddress}`;
    const asked = createClient(SessionService, createGrpcTransport({ baseUrl })).introspectToken(
      {},
    );
    const { code, message } = await refusal(asked);
    assert.equal(code, Code.Unimplemented);
    const port = service.app.grpcAddress.split(':').at(-1);
    assert.equal(message, `gRPC is served on port ${port}; this port serves Connect and gRPC-Web`);
  });

  it('says so in headers that end the stream, as all clients of gRPC need it', async () => {
    const session = http2.connect(`http://${service.app.httpAddress}`);
    atEnd(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': '/countersign.v1.SessionService/WatchRevocations',
      'content-type': 'application/grpc',
    });
    const [headers, flags] = await once(stream, 'response');
    assert.equal(headers['grpc-status'], String(Code.Unimplemented));
    assert.ok(flags & http2.constants.NGHTTP2_FLAG_END_STREAM);
  });

  it('lists every service', async () => {
    const answer = await ask({ case: 'listServices', value: '*' });
    assert.ok(answer.case === 'listServicesResponse');
    const names = answer.value.service.map(({ name }) => name);
    for (const name of ['countersign.v1.AuthService', 'grpc.health.v1.Health']) {
      assert.ok(names.includes(name), name);
    }
    assert.equal(new Set(names).size, names.length);
  });

  for (const [value, file] of [
    ['countersign.v1.AuthService', AUTH],
    ['countersign.v1.AuthService.SignUp', AUTH],
    ['countersign.v1.SignUpRequest', AUTH],
    ['countersign.v1.SignUpRequest.email', AUTH],
    ['countersign.v1.ErrorReason', 'countersign/v1/error_reason.proto'],
    ['countersign.v1.ERROR_REASON_INTERNAL', 'countersign/v1/error_reason.proto'],
    ['google.protobuf.FieldOptions', 'google/protobuf/descriptor.proto'],
  ] as const) {
    it(`finds the file of ${value}, with all that it imports`, async () => {
      const files = await filesOf({ case: 'fileContainingSymbol', value });
      assert.equal(files[0], file);
      assert.deepEqual(await filesOf({ case: 'fileByFilename', value: file }), files);
      assert.equal(new Set(files).size, files.length);
      if (file === AUTH) assert.ok(files.includes('google/protobuf/descriptor.proto'));
    });
  }

  it('finds extensions by the message that they extend', async () => {
    const containingType = 'google.protobuf.MethodOptions';
    const answer = await ask({ case: 'allExtensionNumbersOfType', value: containingType });
    assert.ok(answer.case === 'allExtensionNumbersResponse');
    const [extensionNumber = 0] = answer.value.extensionNumber;
    const value = { containingType, extensionNumber };
    const files = await filesOf({ case: 'fileContainingExtension', value });
    assert.equal(files[0], 'countersign/v1/access.proto');
  });

  for (const [asked, code] of [
    [{ case: 'fileByFilename', value: 'no.proto' }, Code.NotFound],
    [{ case: 'fileContainingSymbol', value: '__proto__' }, Code.NotFound],
    [{ case: 'allExtensionNumbersOfType', value: 'no.Message' }, Code.NotFound],
    [
      {
        case: 'fileContainingExtension',
        value: { containingType: 'countersign.v1.SignUpRequest', extensionNumber: 1 },
      },
      Code.NotFound,
    ],
    [{ case: undefined }, Code.Unimplemented],
  ] as const) {
    it(`says in its answer what is not there: ${asked.case}`, async () => {
      const answer = await ask(asked);
      assert.ok(answer.case === 'errorResponse', answer.case);
      assert.equal(answer.value.errorCode, code);
    });
  }

  it('W04 ends when the replica stops', async () => {
    const own = await startService({ env: { COUNTERSIGN_SHUTDOWN_GRACE: '60s' } });
    const baseUrl = `http://${own.app.grpcAddress}`;
    const asking = createClient(ServerReflection, createGrpcTransport({ baseUrl }));
    const first = Promise.withResolvers<void>();
    async function* unending() {
      yield { messageRequest: { case: 'listServices', value: '' } as const };
      await new Promise(() => {});
    }
    const ended = refusal(
      (async () => {
        for await (const _ of asking.serverReflectionInfo(unending())) first.resolve();
      })(),
    );
    await first.promise;
    await own.app.stop();
    const { code, reason } = await ended;
    assert.deepEqual([code, reason], [Code.Unavailable, 'SHUTTING_DOWN']);
  });

  it('W01 takes a caller who leaves during an answer for no error of ours', async () => {
    const lines: Record<string, unknown>[] = [];
    await logLines(async () => {
      const raw = await unread(service);
      raw.write(frame(DATA, 0, 1, request({ case: 'fileByFilename', value: AUTH })));
      await eventually(() => raw.got(HEADERS, 1));
      raw.write(frame(RST_STREAM, 0, 1, CANCEL));
      await eventually(() => lines.some(({ msg }) => msg === 'call'));
    }, lines);
    assert.deepEqual(
      lines.filter(({ level, stack }) => level === 'error' || stack !== undefined),
      [],
    );
  });

  it('W02 resets who asks again and again and takes no answer', async () => {
    const raw = await unread(service);
    const asked = request({ case: 'fileByFilename', value: AUTH });
    for (let count = 0; count < 400; count += 1) raw.write(frame(DATA, 0, 1, asked));
    await eventually(() => raw.got(RST_STREAM, 1));
  });
});

/** A stream on a connection of its own, which gives no window to its answers. */
async function unread({ app }: Service): Promise<RawHttp2> {
  const raw = await RawHttp2.to(app.grpcAddress);
  atEnd(() => raw.destroy());
  raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
  raw.call(1, PATH);
  return raw;
}

function request(messageRequest: NonNullable<Asked>): Buffer {
  const message = create(ServerReflectionRequestSchema, { messageRequest });
  return Buffer.from(encodeEnvelope(0, toBinary(ServerReflectionRequestSchema, message)));
}
