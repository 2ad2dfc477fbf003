import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { before, it } from 'node:test';
import {
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  toBinary,
} from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { conformanceService } from '../conformance/conformance-service.ts';
import { ConformanceService } from '../gen/connectrpc/conformance/v1/service_pb.ts';
import { type Service, startService } from '../harness/service.ts';
import { closed } from './frames.ts';
import { describeBothPaths } from './unary-paths.ts';
import { pathOf } from './wire.ts';

type Got = { header: IncomingHttpHeaders; trailer: IncomingHttpHeaders; messages: number };

const { unary, serverStream, clientStream, bidiStream } = ConformanceService.method;
const STREAMS = new Set<DescMethod>([serverStream, bidiStream]);
const ALL: DescMethod[] = [unary, clientStream, ...STREAMS];
const COMPRESSED = { 'grpc-encoding': 'gzip' };

/** What a method sets, and what its caller gets: bytes come without padding. */
const metadata = {
  responseHeaders: [
    { name: 'x-header', value: ['one', 'two'] },
    { name: 'x-header-bin', value: ['AQ==', 'AQI'] },
  ],
  responseTrailers: [{ name: 'x-trailer', value: ['three'] }],
};
const answerOf = (method: DescMethod) => ({
  ...metadata,
  responseData: STREAMS.has(method) ? ['Bw=='] : 'Bw==',
});
const errorWith = (message: string) => ({
  ...metadata,
  error: { code: 'CODE_FAILED_PRECONDITION', message },
});

describeBothPaths('the metadata of an answer by gRPC', ({ env }) => {
  let service: Service;

  before(async () => {
    service = await startService({ services: [conformanceService], env });
  });

  /** Makes a method answer as it is told. */
  async function call(
    method: DescMethod,
    responseDefinition: JsonObject,
    headers: OutgoingHttpHeaders = {},
  ): Promise<Got> {
    const session = connect(`http://${service.app.grpcAddress}`);
    const type = { 'content-type': 'application/grpc', te: 'trailers' };
    const request = fromJson(method.input, { responseDefinition });
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf(method),
      ...type,
      ...headers,
    });
    stream.end(encodeEnvelope(0, toBinary(method.input, request)));
    const got: Got = { header: {}, trailer: {}, messages: 0 };
    stream.on('trailers', (trailer) => {
      got.trailer = trailer;
    });
    stream.on('data', () => {
      got.messages += 1;
    });
    const over = closed(stream);
    [got.header] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    await over;
    session.destroy();
    return got;
  }

  it('is what the method has set', async () => {
    for (const method of ALL) {
      for (const headers of [{}, COMPRESSED]) {
        const { header, trailer, messages } = await call(method, answerOf(method), headers);
        assert.equal(header['x-header'], 'one, two', method.name);
        assert.equal(String(header['x-header-bin']).replaceAll(' ', ''), 'AQ,AQI', method.name);
        assert.equal(trailer['x-trailer'], 'three', method.name);
        assert.equal(messages, 1, method.name);
      }
    }
  });

  it('has only the status for a success', async () => {
    for (const method of ALL) {
      for (const headers of [{}, COMPRESSED]) {
        const { trailer } = await call(method, answerOf(method), headers);
        assert.equal(trailer['grpc-status'], '0', method.name);
        assert.equal('grpc-message' in trailer, false, method.name);
      }
    }
  });

  it('is what the method has set before it fails', async () => {
    for (const method of ALL) {
      for (const headers of [{}, COMPRESSED]) {
        const { header, trailer } = await call(method, errorWith('no'), headers);
        assert.equal(header['x-header'], 'one, two', method.name);
        assert.equal({ ...header, ...trailer }['grpc-status'], '9', method.name);
        assert.equal({ ...header, ...trailer }['x-trailer'], 'three', method.name);
      }
    }
  });

  it('is one block of headers if the method has set none and fails', async () => {
    for (const method of ALL) {
      const { header, trailer } = await call(method, { ...errorWith('no'), responseHeaders: [] });
      assert.equal(header['grpc-status'], '9', method.name);
      assert.deepEqual(Object.keys(trailer), [], method.name);
    }
  });

  it('has the details of an error without padding', async () => {
    for (const method of ALL) {
      for (const message of ['a', 'ab', 'abc']) {
        const { header, trailer } = await call(method, errorWith(message));
        const text = String({ ...header, ...trailer }['grpc-status-details-bin']);
        assert.doesNotMatch(text, /=/);
        const status = fromBinary(StatusSchema, Buffer.from(text, 'base64'));
        assert.equal(status.message, message);
      }
    }
  });
});
