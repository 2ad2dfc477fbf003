import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { atEnd } from '../harness/at-end.ts';
import { type Person, person } from '../harness/people.ts';
import { REDIS_URL } from '../harness/prepared.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { newKey, verify } from './keys.ts';

let service: Service;
let replica: Service;
let owner: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  owner = await person(service);
});

const limited = async (requests: number) =>
  (await newKey(service, owner, { rateLimit: { requests, per: { seconds: 3600n } } })).secret;

/** How many of so many uses were granted. */
async function granted(uses: number, secret: string, ...at: Service[]): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: uses }, (_, i) => verify(at[i % at.length] ?? service, secret)),
  );
  return answers.filter(({ valid }) => valid).length;
}

describe('the limit of a key', () => {
  it('A03 W10 is shared by the replicas', async () => {
    const secret = await limited(100);
    assert.equal(await granted(160, secret, service, replica), 100);
  });

  it('A03 says what is left, and refuses in its own words', async () => {
    const secret = await limited(3);
    for (const remaining of [2, 1, 0]) {
      const { valid, rateLimit } = await verify(service, secret);
      assert.deepEqual([valid, rateLimit?.limit, rateLimit?.remaining], [true, 3, remaining]);
      assert.ok(Number(rateLimit?.resetsIn?.seconds) > 3500);
    }
    const refused = await verify(service, secret);
    assert.deepEqual(
      [refused.valid, refused.reason, refused.principal?.subject, refused.rateLimit?.remaining],
      [false, ApiKeyReason.RATE_LIMITED, owner.userId, 0],
    );
  });

  it('A03 counts a use as its cost, and a refused one not at all', async () => {
    const secret = await limited(10);
    const use = (cost: number, at = service) => verify(at, { secret, cost });
    assert.equal((await use(4)).rateLimit?.remaining, 6);
    const refused = await use(7, replica);
    assert.deepEqual(
      [refused.reason, refused.rateLimit?.remaining],
      [ApiKeyReason.RATE_LIMITED, 6],
    );
    assert.equal((await use(6, replica)).rateLimit?.remaining, 0);
    assert.equal((await use(1)).reason, ApiKeyReason.RATE_LIMITED);
  });

  it('counts no use that is refused for another reason', async () => {
    const secret = await limited(2);
    for (let i = 0; i < 5; i += 1) {
      const { reason } = await verify(service, { secret, requiredScopes: ['users.read'] });
      assert.equal(reason, ApiKeyReason.SCOPE_MISSING);
    }
    assert.equal((await verify(service, secret)).rateLimit?.remaining, 1);
  });

  it('W07 W10 is counted by each replica while Redis is away or frozen, and shared again after', async () => {
    const proxy = new TcpProxy(REDIS_URL);
    atEnd(() => proxy.close());
    const env = { REDIS_URL: await proxy.listen(REDIS_URL) };
    const alone = await startReplica(service, { env });
    const secret = await limited(20);
    assert.equal(await granted(5, secret, alone), 5);
    proxy.freeze();
    // It remembers the five.
    assert.equal(await granted(60, secret, alone), 15);
    proxy.down();
    assert.equal(await granted(10, secret, alone), 0);
    assert.equal(await granted(60, secret, service), 15);
  });
});
