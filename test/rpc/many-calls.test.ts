import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { before, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  IntrospectTokenRequestSchema,
  SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import { framed } from '../../src/rpc/grpc/framing.ts';
import { UnaryRequestSchema } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { CALLS } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { Echo, EchoService } from './echo.ts';
import { describeBothPaths } from './unary-paths.ts';

/** Ten thousand calls may take a busy machine a while. */
const PATIENCE_MS = 250_000;
const UNARY = `/${EchoService.typeName}/Unary`;
const INTROSPECT = `/${SessionService.typeName}/IntrospectToken`;
const TOKEN = Buffer.from(
  toBinary(IntrospectTokenRequestSchema, create(IntrospectTokenRequestSchema, { token: 'x' })),
);
/** It takes the service a second, so that all are open at once. */
const LONG = Buffer.from(
  toBinary(UnaryRequestSchema, create(UnaryRequestSchema, { text: 'a', sleepMs: 1000 })),
);

describeBothPaths('one connection with very many calls', ({ env }) => {
  let service: Service;

  before(async () => {
    service = await startService({
      services: [new Echo().service],
      env,
      limits: { bodyTimeoutMs: PATIENCE_MS },
    });
  });

  for (const listener of ['grpc', 'http'] as const) {
    it(`W16 loses no call when its client gives up half of them (${listener})`, async () => {
      const { grpcAddress, httpAddress } = service.app;
      const session = connect(`http://${listener === 'grpc' ? grpcAddress : httpAddress}`);
      atEnd(() => session.destroy());
      const problems: unknown[] = [];
      session.on('error', (error) => problems.push(error));
      session.on('goaway', (code) => problems.push(`GOAWAY ${code}`));
      // Its address is trusted, which it shows first: strangers may hold less.
      assert.equal(await call(session, listener, INTROSPECT, TOKEN).ended, 'answered');
      const calls = Array.from({ length: CALLS }, () => call(session, listener));
      await Promise.race(calls.map(({ ended }) => ended));
      for (const [index, { giveUp }] of calls.entries()) if (index % 2 === 0) giveUp();
      const endings = await Promise.all(calls.map(({ ended }) => ended));
      const lost = endings.filter((ending, index) => index % 2 === 1 && ending !== 'answered');
      assert.deepEqual([problems, lost], [[], []]);
    });
  }
});

function call(
  session: ClientHttp2Session,
  listener: 'grpc' | 'http',
  path = UNARY,
  message = LONG,
) {
  const isGrpc = listener === 'grpc';
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    ...(isGrpc
      ? { 'content-type': 'application/grpc', 'grpc-timeout': `${PATIENCE_MS}m` }
      : { 'content-type': 'application/proto', 'connect-timeout-ms': String(PATIENCE_MS) }),
  });
  let status = '';
  const answer = (headers: Record<string, unknown>) => {
    status = String((isGrpc ? headers['grpc-status'] : headers[':status']) ?? status);
  };
  stream
    .on('response', answer)
    .on('trailers', answer)
    .on('error', () => {})
    .resume();
  stream.end(isGrpc ? framed(message) : message);
  const good = isGrpc ? '0' : '200';
  const ended = new Promise<string>((resolve) => {
    stream.once('close', () => {
      resolve(status === good ? 'answered' : `status ${status}, reset ${stream.rstCode}`);
    });
  });
  return {
    ended,
    giveUp: () => stream.close(constants.NGHTTP2_CANCEL),
  };
}
