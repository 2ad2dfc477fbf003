import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import {
  connectShop,
  connectShopOverHttp2,
  grpcShop,
  type OpenShop,
  type Shop,
} from './shop-servers.ts';
import { MachineClock, verifierAt, verifierOf } from './verifiers.ts';

const limits = { checkpointMs: 100 };
const BOUND_MS = 15_000;
const SERVERS: Record<string, OpenShop> = {
  Connect: connectShop,
  'Connect, over HTTP/2,': connectShopOverHttp2,
  'grpc-js': grpcShop,
};

let service: Service;

before(async () => {
  service = await startService({ limits });
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Opens a stream and reads it to its end. */
function watching(shop: Shop, token: string, deaf = false) {
  const leaving = new AbortController();
  atEnd(() => leaving.abort());
  let heard = 0;
  const read = async () => {
    const messages = shop.client(bearer(token)).watch({ deaf }, { signal: leaving.signal });
    for await (const _ of messages) heard += 1;
  };
  const ended = refusal(read());
  ended.catch(() => {});
  return { ended, heard: () => heard, leave: () => leaving.abort() };
}

/** Texts until the test has ended. */
async function* talk() {
  for (;;) {
    yield { text: 'a' };
    await sleep(20);
  }
}

for (const [name, open] of Object.entries(SERVERS)) {
  describe(`A stream of ${name} at a verifier`, () => {
    it('S13 ends if it was opened while its session was being ended', async () => {
      const shop = await open(verifierOf(service));
      const openedWhileEnding = async (afterMs: number) => {
        const who = await withRoles(service, 'user', 'admin');
        const ending = service.auth.logout({ refreshToken: who.refreshToken });
        await sleep(afterMs);
        const { reason } = await watching(shop, who.accessToken).ended;
        await ending;
        return reason;
      };
      const delays = Array.from({ length: 12 }, (_, i) => i * 2);
      const reasons = await Promise.all(delays.map(openedWhileEnding));
      assert.deepEqual(new Set(reasons), new Set(['TOKEN_REVOKED']));
      assert.equal(shop.open(), 0);
    });

    it('S13 is asked about while nothing is heard, if the owner chose that', async () => {
      const target = `http://${service.app.httpAddress}`;
      const machine = new MachineClock();
      let isDeaf = false;
      const cut = new AbortController();
      const listen: typeof fetch = (input, init) => {
        if (!String(input).endsWith('/WatchRevocations')) return fetch(input, init);
        if (isDeaf) throw new TypeError('fetch failed');
        const signals = [cut.signal, init?.signal].filter((each) => each instanceof AbortSignal);
        return fetch(input, { ...init, signal: AbortSignal.any(signals) });
      };
      const options = { clock: machine, fetch: listen, whileStale: 'ask' } as const;
      const verifier = verifierAt(target, options);
      const shop = await open(verifier);
      const [good, bad] = [
        await withRoles(service, 'user', 'admin'),
        await withRoles(service, 'user', 'admin'),
      ];
      const [kept, lost] = [watching(shop, good.accessToken), watching(shop, bad.accessToken)];
      await eventually(() => kept.heard() > 0 && lost.heard() > 0);
      isDeaf = true;
      cut.abort();
      await service.auth.logout({ refreshToken: bad.refreshToken });
      machine.pass(BOUND_MS);
      assert.equal((await lost.ended).reason, 'TOKEN_REVOKED');
      const heard = kept.heard();
      await eventually(() => kept.heard() > heard + 20);
      assert.equal(verifier.state, 'stale');
      // And it ends in the end, with its session.
      await service.auth.logout({ refreshToken: good.refreshToken });
      machine.pass(BOUND_MS);
      assert.equal((await kept.ended).reason, 'TOKEN_REVOKED');
    });

    it('S13 ends while the service is frozen, for what is not heard', async () => {
      const target = `http://${service.app.httpAddress}`;
      const proxy = new TcpProxy(target);
      const url = await proxy.listen(target);
      atEnd(() => proxy.close());
      const machine = new MachineClock();
      const shop = await open(verifierAt(url, { clock: machine }));
      const who = await withRoles(service, 'user', 'admin');
      const stream = watching(shop, who.accessToken);
      await eventually(() => stream.heard() > 0);
      proxy.freeze();
      machine.pass(BOUND_MS);
      const { code, reason } = await stream.ended;
      assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE']);
    });

    it('S13 ends with the owner of a key that has a limit, though the limit is used up', async () => {
      const shop = await open(verifierOf(service));
      const [boss, owner] = [
        await withRoles(service, 'user', 'admin'),
        await withRoles(service, 'user', 'admin'),
      ];
      const rateLimit = { requests: 1, per: { seconds: 3600n } };
      const { secret } = await newKey(service, owner, { scopes: ['users.read'], rateLimit });
      const stream = watching(shop, secret);
      await eventually(() => stream.heard() > 0);
      await boss.admin.suspendUser({ userId: owner.userId });
      await eventually(() => shop.open() === 0);
      assert.equal((await stream.ended).reason, 'ACCOUNT_SUSPENDED');
    });

    it('S13 ends when the verifier is closed', async () => {
      const verifier = verifierOf(service);
      const shop = await open(verifier);
      const who = await withRoles(service, 'user', 'admin');
      const stream = watching(shop, who.accessToken);
      await eventually(() => stream.heard() > 0);
      verifier.close();
      assert.equal((await stream.ended).reason, 'DEPENDENCY_UNAVAILABLE');
    });

    for (const deaf of [false, true]) {
      it(`is forgotten when its client has gone${deaf ? ', though its handler takes no notice' : ''}`, async () => {
        const shop = await open(verifierOf(service));
        const who = await withRoles(service, 'user', 'admin');
        const stream = watching(shop, who.accessToken, deaf);
        await eventually(() => stream.heard() > 0 && shop.open() === 1);
        stream.leave();
        await eventually(() => shop.open() === 0);
      });
    }

    if (open === connectShop) return;

    it('S13 ends if it goes in both directions', async () => {
      const shop = await open(verifierOf(service));
      const { accessToken, refreshToken } = await signedIn(service);
      let heard = 0;
      const read = async () => {
        for await (const _ of shop.client(bearer(accessToken)).chat(talk())) heard += 1;
      };
      const ended = refusal(read());
      await eventually(() => heard > 1);
      await service.auth.logout({ refreshToken });
      const { code, reason } = await ended;
      assert.deepEqual([code, reason], [Code.Unauthenticated, 'TOKEN_REVOKED']);
      assert.equal(shop.open(), 0);
    });
  });
}
