import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { user } from '../access/shop.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { EchoService } from '../gen/countersign/test/v1/echo_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { connectShop, grpcShop, type OpenShop, type Shop } from './shop-servers.ts';
import { MachineClock, verifierAt, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const TOKEN_MS = 10 * 60_000;
const SERVERS: Record<string, OpenShop> = { Connect: connectShop, 'grpc-js': grpcShop };

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ limits });
  boss = await withRoles(service, 'user', 'admin');
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A stream that continues until it is ended; `heard` counts its messages. */
class Open {
  heard = 0;
  readonly ended: Promise<{ reason: string | undefined; code: Code }>;
  readonly #leaving = new AbortController();

  constructor(open: (options: { signal: AbortSignal }) => AsyncIterable<unknown>) {
    const read = async () => {
      for await (const _ of open({ signal: this.#leaving.signal })) this.heard += 1;
    };
    this.ended = refusal(read());
    this.ended.catch(() => {});
    atEnd(() => this.#leaving.abort());
  }

  get reason() {
    return this.ended.then(({ reason }) => reason);
  }
}

async function watching(shop: Shop, credential: string, deaf = false): Promise<Open> {
  const client = shop.client(bearer(credential));
  const stream = new Open((options) => client.watch({ deaf }, options));
  await eventually(() => stream.heard > 0);
  return stream;
}

for (const [name, open] of Object.entries(SERVERS)) {
  describe(`A ${name} server with a verifier`, () => {
    it('enforces the access rules of its own protos, and tells handlers who calls', async () => {
      const shop = await open(verifierOf(service));
      const [reader, pat] = [
        await withRoles(service, 'user', 'admin'),
        await withRoles(service, 'user'),
      ];
      const reasonOf = async (call: Promise<unknown>) => {
        const { code, reason, requestId } = await refusal(call);
        assert.ok(requestId);
        return [code, reason];
      };
      const nobody = shop.client();
      assert.equal((await nobody.greet({})).subject, '');
      assert.deepEqual(await reasonOf(nobody.me({})), [
        Code.Unauthenticated,
        'CREDENTIALS_MISSING',
      ]);
      const asPat = shop.client(bearer(pat.accessToken));
      assert.equal((await asPat.greet({})).subject, pat.userId);
      assert.equal((await asPat.me({})).subject, pat.userId);
      await asPat.pay({});
      assert.deepEqual(await reasonOf(asPat.list({})), [
        Code.PermissionDenied,
        'PERMISSION_DENIED',
      ]);
      const asReader = shop.client(bearer(reader.accessToken));
      assert.equal((await asReader.list({})).subject, reader.userId);
      const bad = shop.client(bearer('a.b.c'));
      assert.equal((await bad.greet({})).subject, '');
      assert.deepEqual(await reasonOf(bad.me({})), [Code.Unauthenticated, 'TOKEN_INVALID']);
      const twice = shop.client({ authorization: `Bearer ${pat.accessToken}, Bearer a.b.c` });
      assert.deepEqual(await reasonOf(twice.me({})), [Code.Unauthenticated, 'TOKEN_INVALID']);
    });

    it('passes on the request id, and what permission is missing', async () => {
      const shop = await open(verifierOf(service));
      const { accessToken } = await signedIn(service);
      for (const id of ['request-7', 'request-8', 'request-10']) {
        const client = shop.client({ ...bearer(accessToken), 'x-request-id': id });
        const { requestId, metadata } = await refusal(client.list({}));
        assert.equal(requestId, id);
        assert.deepEqual(metadata, { permission: 'users.read' });
      }
    });

    it('accepts API keys where the rule does', async () => {
      const shop = await open(verifierOf(service));
      const owner = await withRoles(service, 'user', 'admin');
      const { secret } = await newKey(service, owner, { scopes: ['users.read'] });
      const client = shop.client({ 'x-api-key': secret });
      assert.equal((await client.list({})).subject, owner.userId);
      assert.equal((await client.greet({})).subject, '');
      assert.equal((await refusal(client.me({}))).reason, 'PERMISSION_DENIED');
    });

    it('serves streams of all kinds', async () => {
      const shop = await open(verifierOf(service));
      const { accessToken } = await signedIn(service);
      const client = shop.client(bearer(accessToken));
      const texts = async function* () {
        for (const text of ['a', 'b', 'c']) yield { text };
      };
      assert.equal((await client.upload(texts())).count, 3);
      if (name === 'Connect') return;
      const answers: string[] = [];
      for await (const { text } of client.chat(texts())) answers.push(text);
      assert.deepEqual(answers, ['a', 'b', 'c']);
    });

    it('does not start with a method that has no rule', async () => {
      const services = [EchoService];
      await assert.rejects(open(verifierOf(service), { services }), /EchoService\/Closed/);
    });

    it('M04 answers UNAVAILABLE in an outage, to whoever is not refused anyway', async () => {
      const proxy = new TcpProxy(`http://${service.app.httpAddress}`);
      const url = await proxy.listen(`http://${service.app.httpAddress}`);
      atEnd(() => proxy.close());
      const machine = new MachineClock();
      const verifier = verifierAt(url, { clock: machine });
      const shop = await open(verifier);
      const reader = await withRoles(service, 'user', 'admin');
      const stream = await watching(shop, reader.accessToken);
      const client = shop.client(bearer(reader.accessToken));
      await client.me({});
      proxy.down();
      machine.pass(15_000);
      const { code, reason, retryAfterMs, requestId } = await refusal(client.me({}));
      assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
      assert.ok(retryAfterMs && requestId);
      assert.equal((await shop.client().greet({})).subject, '');
      assert.equal(await stream.reason, 'DEPENDENCY_UNAVAILABLE');
    });
  });

  describe(`A stream of a ${name} server`, () => {
    for (const deaf of [false, true]) {
      it(`S13 ends with its session, its owner's role and suspension${deaf ? ', though its handler takes no notice' : ''}`, async () => {
        const shop = await open(verifierOf(service));
        const ways: ((who: Administrator) => Promise<unknown>)[] = [
          ({ refreshToken }) => service.auth.logout({ refreshToken }),
          ({ userId }) => boss.admin.revokeRole({ holder: user(userId), role: 'admin' }),
          ({ userId }) => boss.admin.suspendUser({ userId }),
        ];
        for (const [index, way] of ways.entries()) {
          const who = await withRoles(service, 'user', 'admin');
          const stream = await watching(shop, who.accessToken, deaf);
          await way(who);
          const { reason, code } = await stream.ended;
          assert.deepEqual([reason, code], ['TOKEN_REVOKED', Code.Unauthenticated]);
          await eventually(() => shop.stopped() === index + 1);
        }
      });
    }

    it('S13 ends when its token does', async () => {
      const clock = new TestClock();
      const replica = await startReplica(service, { clock, limits });
      const shop = await open(verifierOf(replica));
      const who = await withRoles(replica, 'user', 'admin');
      const stream = await watching(shop, who.accessToken);
      clock.advance(TOKEN_MS);
      assert.equal(await stream.reason, 'TOKEN_EXPIRED');
    });

    it('S13 ends with its API key, with the owner of the key, or when the key may do less', async () => {
      const shop = await open(verifierOf(service));
      type Way = (owner: Administrator, apiKeyId: string) => Promise<unknown>;
      const keysOf = (accessToken: string) => service.client(ApiKeyService, 'grpc', accessToken);
      const ways: [Way, string][] = [
        [
          ({ accessToken }, apiKeyId) => keysOf(accessToken).revokeApiKey({ apiKeyId }),
          'TOKEN_REVOKED',
        ],
        [({ userId }) => boss.admin.suspendUser({ userId }), 'ACCOUNT_SUSPENDED'],
        [
          ({ accessToken }, apiKeyId) =>
            keysOf(accessToken).updateApiKey({
              apiKey: { apiKeyId },
              updateMask: { paths: ['scopes'] },
            }),
          'PERMISSION_DENIED',
        ],
      ];
      for (const [way, reason] of ways) {
        const owner = await withRoles(service, 'user', 'admin');
        const { id, secret } = await newKey(service, owner, { scopes: ['users.read'] });
        const stream = await watching(shop, secret);
        await way(owner, id);
        assert.equal(await stream.reason, reason);
      }
    });

    it('S13 ends also if it only takes messages, and with hundreds of others', async () => {
      const shop = await open(verifierOf(service));
      const who = await withRoles(service, 'user');
      const texts = async function* () {
        yield { text: 'a' };
        await new Promise((resolve) => atEnd(() => resolve(undefined)));
      };
      const client = shop.client(bearer(who.accessToken));
      const uploads = Array.from({ length: 300 }, () => refusal(client.upload(texts())));
      await eventually(() => shop.open() === uploads.length);
      await service.auth.logout({ refreshToken: who.refreshToken });
      const ended = await Promise.all(uploads);
      assert.deepEqual([...new Set(ended.map(({ reason }) => reason))], ['TOKEN_REVOKED']);
      assert.equal(new Set(ended.map(({ requestId }) => requestId)).size, uploads.length);
      assert.equal(shop.open(), 0);
    });

    it('S13 continues while nothing happens to it', async () => {
      const shop = await open(verifierOf(service));
      const who = await withRoles(service, 'user', 'admin');
      const stream = await watching(shop, who.accessToken);
      const { refreshToken } = await signedIn(service);
      await service.auth.logout({ refreshToken });
      const { heard } = stream;
      await eventually(() => stream.heard > heard + 50);
    });
  });
}
