import { readFileSync } from 'node:fs';
import { create, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  ApiKeyService,
  ExchangeApiKeyRequestSchema,
  ExchangeApiKeyResponseSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { againstEcho } from '../load/against-echo.ts';
import { grpcLoad } from '../load/h2load.ts';
import type { Http1Answer } from '../load/http1.ts';
import { introspection } from '../load/introspection.ts';
import { type People, signUpPeople } from '../load/people.ts';
import { insertKeys, verification } from '../load/verification.ts';
import type { Contestant } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { createDatabase } from '../service/databases.ts';
import { PASSWORD } from '../service/passwords.ts';
import { type PostgresService, startReplica } from '../service/replica.ts';
import { residentMemory } from '../service/resident-memory.ts';
import { postJson, type Repeated, repeated, singleCheck, varied } from './http-contestants.ts';
import type { Peer, SingleCheck } from './peer.ts';
import { CROWD, newEmail, SIGN_IN_CROWD } from './people.ts';

const GRPC = 'Countersign, gRPC';
const JSON_NAME = 'Countersign, Connect JSON';
const AUDIENCE = 'https://api.example.com';

/** Starts Countersign as the rows of bench/rows do, on a database of its own on the server. */
export async function startCountersign(cleanups: Cleanups, serverUrl: string): Promise<Peer> {
  const databaseUrl = await createDatabase(cleanups, serverUrl, 'countersign');
  const service = await startReplica(cleanups, databaseUrl, {});
  const { host: address } = new URL(service.publicUrl);
  const people = await signUpPeople(service.grpcAddress);
  const { accessToken: token } = await people.signIn();
  const [secret = ''] = await insertKeys(service, 1);
  const [checkByGrpc] = await againstEcho(cleanups, service, introspection(token));
  const [keyByGrpc] = await againstEcho(cleanups, service, verification(secret));
  const json = (path: string, value: unknown, expected: string): Repeated => ({
    name: JSON_NAME,
    address,
    request: postJson(`/countersign.v1.${path}`, value),
    expect: ({ status, body }) => status === 200 && body.includes(expected),
  });
  const check = json('SessionService/IntrospectToken', { token }, '"active":true');
  const key = { secret, requiredScopes: ['users.read'] };
  const keyCheck = json('ApiKeyService/VerifyApiKey', key, '"valid":true');
  const exchange = json(
    'ApiKeyService/ExchangeApiKey',
    { secret, audience: AUDIENCE },
    '"accessToken"',
  );
  return {
    name: 'Countersign',
    version: JSON.parse(readFileSync('package.json', 'utf8')).version,
    memory: () => residentMemory(service.pid),
    works: {
      TokenCheck: [{ ...checkByGrpc, name: GRPC }, repeated(cleanups, check)],
      ApiKeyCheck: [{ ...keyByGrpc, name: GRPC }, repeated(cleanups, keyCheck)],
      Exchange: [await exchangeByGrpc(cleanups, service, secret), repeated(cleanups, exchange)],
      Refresh: [await refreshes(address, people)],
      SignUp: [signUps(address)],
      Login: [logins(address, people)],
    },
    checks: [grpcCheck(service, token), singleCheck(cleanups, check)],
  };
}

async function exchangeByGrpc(
  cleanups: Cleanups,
  { grpcAddress }: PostgresService,
  secret: string,
): Promise<Contestant> {
  const transport = createGrpcTransport({ baseUrl: `http://${grpcAddress}` });
  const keys = createClient(ApiKeyService, transport);
  const request = { secret, audience: AUDIENCE };
  const answer = await keys.exchangeApiKey(request);
  return {
    name: GRPC,
    check: async () => void (await keys.exchangeApiKey(request)),
    perSecond: grpcLoad(cleanups, {
      address: grpcAddress,
      path: `/${ApiKeyService.typeName}/${ApiKeyService.method.exchangeApiKey.name}`,
      request: toBinary(ExchangeApiKeyRequestSchema, create(ExchangeApiKeyRequestSchema, request)),
      responseBytes: toBinary(ExchangeApiKeyResponseSchema, answer).byteLength,
    }),
  };
}

function grpcCheck({ grpcAddress }: PostgresService, token: string): SingleCheck {
  const transport = createGrpcTransport({ baseUrl: `http://${grpcAddress}` });
  const sessions = createClient(SessionService, transport);
  return {
    name: GRPC,
    async check() {
      const { active } = await sessions.introspectToken({ token });
      if (!active) throw new Error('the token is not active');
    },
  };
}

async function refreshes(address: string, people: People): Promise<Contestant> {
  const tokens = await Promise.all(
    Array.from({ length: CROWD }, async () => (await people.signIn()).refreshToken),
  );
  return varied({
    name: JSON_NAME,
    address,
    connections: CROWD,
    next: (index) =>
      postJson('/countersign.v1.AuthService/RefreshToken', { refreshToken: tokens[index] }),
    took: (answer, index) => {
      tokens[index] = tokensOf(answer).refreshToken;
    },
  });
}

function tokensOf({ body }: Http1Answer): { refreshToken: string } {
  const { tokens } = JSON.parse(body);
  if (!tokens) throw new Error(`Countersign gives no tokens: ${body}`);
  return tokens;
}

function signUps(address: string): Contestant {
  return varied({
    name: JSON_NAME,
    address,
    connections: SIGN_IN_CROWD,
    next: () =>
      postJson('/countersign.v1.AuthService/SignUp', { email: newEmail(), password: PASSWORD }),
    took: () => {},
  });
}

function logins(address: string, { emails }: People): Contestant {
  let turn = 0;
  return varied({
    name: JSON_NAME,
    address,
    connections: SIGN_IN_CROWD,
    next: () =>
      postJson('/countersign.v1.AuthService/Login', {
        email: emails[turn++ % emails.length],
        password: PASSWORD,
        deviceLabel: 'bench',
      }),
    took: (answer) => void tokensOf(answer),
  });
}
