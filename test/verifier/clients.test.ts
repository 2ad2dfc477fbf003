import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, type ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { credentials, Client as GrpcClient, type ServiceError } from '@grpc/grpc-js';
import * as connect from '../../packages/verifier/src/connect.ts';
import * as grpc from '../../packages/verifier/src/grpc-js.ts';
import {
  createTokenSource,
  type TokenPair,
  type Tokens,
} from '../../packages/verifier/src/index.ts';
import { createTestIssuer } from '../../packages/verifier/src/testing.ts';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import {
  MeRequestSchema,
  MeResponseSchema,
  ShopService,
} from '../gen/countersign/test/v1/shop_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, person, signedIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { connectShop, grpcShop, type OpenShop } from './shop-servers.ts';
import { MachineClock, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const TOKEN_MS = 10 * 60_000;

let service: Service;

before(async () => {
  service = await startService({ limits });
});

const address = () => ({ baseUrl: `http://${service.app.httpAddress}` });

/** A source that counts how often it asks the service. */
function counted(options: object) {
  const asked: string[] = [];
  const counting: typeof fetch = (input, init) => {
    asked.push(new URL(String(input)).pathname.split('/').at(-1) ?? '');
    return fetch(input, init);
  };
  const given = { ...address(), fetch: counting, ...options };
  return { asked, source: createTokenSource(given as Parameters<typeof createTokenSource>[0]) };
}

describe('A token source', () => {
  it('exchanges an API key once for all callers, and again shortly before the end', async () => {
    const owner = await withRoles(service, 'user', 'admin');
    const { id, secret } = await newKey(service, owner, { scopes: ['users.read'] });
    const clock = new MachineClock();
    const audience = 'https://shop.test';
    const { asked, source } = counted({ apiKey: secret, audience, scopes: ['users.read'], clock });
    const tokens = await Promise.all(Array.from({ length: 20 }, () => source.get()));
    assert.equal(new Set(tokens).size, 1);
    const { api_key_id: keyId, aud, scope } = claimsOf(tokens[0] ?? '');
    assert.deepEqual([keyId, aud, scope], [id, audience, 'users.read']);
    assert.deepEqual(asked, ['ExchangeApiKey']);
    assert.equal(source.get(), tokens[0]);
    clock.pass(TOKEN_MS - 59_000);
    // Still good: nobody waits.
    assert.equal(source.get(), tokens[0]);
    await eventually(() => source.get() !== tokens[0]);
    assert.deepEqual(asked, ['ExchangeApiKey', 'ExchangeApiKey']);
  });

  it('refreshes a session, and hands over each new pair', async () => {
    const first = await signedIn(service);
    const clock = new MachineClock();
    const pairs: TokenPair[] = [];
    const onTokens = (pair: TokenPair) => void pairs.push(pair);
    const { asked, source } = counted({ tokens: first, onTokens, clock });
    assert.equal(source.get(), first.accessToken);
    clock.pass(TOKEN_MS);
    const tokens = await Promise.all([source.get(), source.get(), source.get()]);
    assert.equal(new Set(tokens).size, 1);
    assert.deepEqual(asked, ['RefreshToken']);
    assert.deepEqual(
      pairs.map(({ accessToken }) => accessToken),
      [tokens[0]],
    );
    clock.pass(TOKEN_MS);
    assert.notEqual(await source.get(), tokens[0]);
    assert.equal(pairs.length, 2);
  });

  it('S14 keeps the session through an outage, with the token that it has', async () => {
    const first = await signedIn(service);
    const clock = new MachineClock();
    let isAway = true;
    const away: typeof fetch = (input, init) => {
      if (isAway) throw new TypeError('fetch failed');
      return fetch(input, init);
    };
    const source = createTokenSource({ ...address(), tokens: first, clock, fetch: away });
    clock.pass(TOKEN_MS - 30_000);
    assert.equal(source.get(), first.accessToken);
    clock.pass(30_000);
    await assert.rejects(async () => source.get(), { code: Code.Unavailable });
    isAway = false;
    clock.pass(1000);
    assert.notEqual(await source.get(), first.accessToken);
  });

  it('asks no more once the session has ended', async () => {
    const first = await signedIn(service);
    const clock = new MachineClock();
    const { asked, source } = counted({ tokens: first, clock });
    await service.auth.logout({ refreshToken: first.refreshToken });
    clock.pass(TOKEN_MS);
    for (let i = 0; i < 3; i += 1) {
      await assert.rejects(async () => source.get(), { code: Code.Unauthenticated });
      clock.pass(1000);
    }
    assert.equal(asked.length, 1);
  });
});

type CallMe = (url: string, source: Tokens, timeoutMs?: number) => Promise<string>;

/** Calls Me with Connect's client. */
const byConnect: CallMe = async (baseUrl, source, timeoutMs) => {
  const interceptors = [connect.clientInterceptor(source)];
  const transport = createConnectTransport({ baseUrl, httpVersion: '1.1', interceptors });
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  return (await createClient(ShopService, transport).me({}, options)).subject;
};

/** Calls Me with the client of grpc-js. */
const byGrpc: CallMe = (url, source, timeoutMs) => {
  const interceptors = [grpc.clientInterceptor(source)];
  const client = new GrpcClient(new URL(url).host, credentials.createInsecure(), { interceptors });
  atEnd(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/countersign.test.v1.ShopService/Me',
      (request: object) =>
        Buffer.from(toBinary(MeRequestSchema, { $typeName: MeRequestSchema.typeName, ...request })),
      (bytes) => fromBinary(MeResponseSchema, bytes),
      {},
      timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
      (error, answer) => (answer ? resolve(answer.subject) : reject(error)),
    );
  });
};

const WAYS: Record<string, [OpenShop, CallMe]> = {
  Connect: [connectShop, byConnect],
  'grpc-js': [grpcShop, byGrpc],
};

for (const [name, [open, callMe]] of Object.entries(WAYS)) {
  describe(`A client of ${name} with a token source`, () => {
    it('attaches the token', async () => {
      const { url } = await open(verifierOf(service));
      const who = await person(service);
      const { source } = counted({ tokens: who });
      assert.equal(await callMe(url, source), who.userId);
    });

    it('makes a call once more after TOKEN_EXPIRED, with another token', async () => {
      const issuer = createTestIssuer();
      atEnd(() => issuer.close());
      const { url } = await open(issuer.createVerifier());
      const subject = '01890000-0000-7000-8000-000000000000';
      const tokens = [await issuer.token({ subject }), ''];
      await issuer.advance(TOKEN_MS);
      tokens[1] = await issuer.token({ subject });
      const { source, given } = scriptedSource(tokens);
      assert.equal(await callMe(url, source), subject);
      assert.deepEqual(given, tokens);
      const stale = scriptedSource([tokens[0] ?? '', tokens[0] ?? '', tokens[1] ?? '']);
      await assert.rejects(callMe(url, stale.source), { code: Code.Unauthenticated });
      assert.equal(stale.given.length, 2);
    });

    it('W03 waits for a token no longer than the call may take', async () => {
      const { url } = await open(verifierOf(service));
      const { source } = scriptedSource([]);
      await assert.rejects(callMe(url, source, 50), { code: Code.DeadlineExceeded });
    });

    it('fails as the exchange does', async () => {
      const { url } = await open(verifierOf(service));
      const { source } = counted({ apiKey: 'csk_unknown', audience: 'https://shop.test' });
      const failed = await callMe(url, source).catch((error: ServiceError | ConnectError) => error);
      assert.equal(typeof failed === 'object' && failed.code, Code.Unauthenticated);
    });
  });
}

/** Gives these tokens, one after another, and then none. */
function scriptedSource(tokens: readonly string[]) {
  const given: string[] = [];
  const get = (signal?: AbortSignal): string | Promise<string> => {
    const token = tokens[given.length];
    if (token === undefined) {
      return new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
    }
    given.push(token);
    return token;
  };
  const source: Tokens = { get, expire: () => {} };
  return { given, source };
}
