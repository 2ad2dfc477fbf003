import assert from 'node:assert/strict';
import { create, equals, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  IntrospectTokenRequestSchema,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
  SessionService,
} from '../../gen/countersign/v1/session_service_pb.ts';
import type { Contestant } from '../report/row.ts';
import { type Cleanups, waitForOutput } from '../service/cleanups.ts';
import type { RunningService } from '../service/service.ts';
import { grpcLoad } from './h2load.ts';

const START_TIMEOUT_MS = 30_000;
export const INTROSPECTION_PATH = `/${SessionService.typeName}/${SessionService.method.introspectToken.name}`;

/** The token to check, and the caller's own access token, if any. */
type Query = { token: string; bearer?: string };

/** Returns the service and a bare echo, which answer the same introspection with the same bytes. */
export async function introspection(
  cleanups: Cleanups,
  service: RunningService,
  query: Query,
): Promise<[Contestant, Contestant]> {
  const answer = await ask(service.grpcAddress, query);
  const echo = await startEcho(
    cleanups,
    'introspectToken',
    toBinary(IntrospectTokenResponseSchema, answer),
  );
  return [
    contestant(cleanups, 'the service', service.grpcAddress, query, answer),
    contestant(cleanups, 'a bare grpc-js echo', echo, query, answer),
  ];
}

/** Starts a bare server that answers every call with the same bytes. Returns its address. */
export async function startEcho(
  cleanups: Cleanups,
  method: 'introspectToken' | 'verifyApiKey',
  bytes: Uint8Array,
): Promise<string> {
  const child = cleanups.process(
    process.execPath,
    ['bench/load/echo-server.ts', method, Buffer.from(bytes).toString('base64')],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const [, address = ''] = await waitForOutput(child, /ready on (\S+)\n/, START_TIMEOUT_MS);
  return address;
}

function contestant(
  cleanups: Cleanups,
  name: string,
  address: string,
  query: Query,
  answer: IntrospectTokenResponse,
): Contestant {
  return {
    name,
    async check() {
      const got = await ask(address, query);
      assert.ok(got.active, `${name} says that the token is not active`);
      assert.ok(equals(IntrospectTokenResponseSchema, got, answer), `${name} answers differently`);
    },
    perSecond: grpcLoad(cleanups, {
      address,
      path: INTROSPECTION_PATH,
      request: introspectionRequest(query.token),
      headers: authorization(query),
      responseBytes: toBinary(IntrospectTokenResponseSchema, answer).byteLength,
    }),
  };
}

/** Returns the bytes of the request about a token. */
export function introspectionRequest(token: string): Uint8Array {
  const request = create(IntrospectTokenRequestSchema, { token });
  return toBinary(IntrospectTokenRequestSchema, request);
}

/** Checks a token once. */
export function ask(address: string, query: Query): Promise<IntrospectTokenResponse> {
  const client = createClient(
    SessionService,
    createGrpcTransport({ baseUrl: `http://${address}` }),
  );
  const options = { headers: authorization(query), timeoutMs: 10_000 };
  return client.introspectToken({ token: query.token }, options);
}

function authorization({ bearer }: Query): Record<string, string> {
  return bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
}
