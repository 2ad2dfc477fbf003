import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { DatabaseClock } from '../../src/platform/database-clock.ts';
import { keysOf, newKey, verify } from '../api-keys/keys.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, type Person, person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';

const OFF_MS = 5 * 60_000;
const OFFSETS = [0, OFF_MS, -OFF_MS];

function clockOff(ms: number): TestClock {
  const clock = new TestClock();
  clock.advance(ms);
  return clock;
}

describe('The clock of the database', () => {
  it('S15 is that of the machine until the database has said its time', () => {
    for (const ms of OFFSETS) {
      const clock = new DatabaseClock(clockOff(ms));
      const isNear = Math.abs(clock.now().getTime() - Date.now() - ms) < 1000;
      assert.ok(isNear);
    }
  });

  it('S15 is moved by an answer no further than that shows it to be wrong', () => {
    const clock = new DatabaseClock(clockOff(OFF_MS));
    const offBy = () => clock.now().getTime() - Date.now();
    // Of a question that was under way for ten seconds.
    clock.note(Date.now(), performance.now() - 10_000);
    assert.ok(offBy() > 9000 && offBy() < 11_000, `${offBy()}`);
    const before = offBy();
    clock.note(Date.now() + 1000, performance.now() - 60_000);
    assert.ok(Math.abs(offBy() - before) < 100);
    clock.note(Date.now() - OFF_MS, performance.now());
    assert.ok(Math.abs(offBy() + OFF_MS) < 1000, `${offBy()}`);
  });

  it('S15 never goes back by milliseconds, and goes on when its time has come', async () => {
    const clock = new DatabaseClock(new TestClock());
    const before = clock.now();
    clock.note(before.getTime() - 100, performance.now());
    assert.ok(clock.now() >= before);
    await eventually(() => clock.now() > before);
    assert.ok(clock.now().getTime() - Date.now() < 0);
  });
});

describe('Replicas on machines whose clocks differ by five minutes', () => {
  let replicas: Service[];

  before(async () => {
    const first = await startService({ machineClock: clockOff(0) });
    const others = OFFSETS.slice(1).map((ms) =>
      startReplica(first, { machineClock: clockOff(ms) }),
    );
    replicas = [first, ...(await Promise.all(others))];
  });

  const active = (token: string) =>
    Promise.all(
      replicas.map(async ({ sessions }) => (await sessions.introspectToken({ token })).active),
    );
  const databaseSeconds = async ({ databaseUrl }: Service): Promise<number> => {
    const [row] = await sql<{ now: number }>(
      databaseUrl,
      'select floor(extract(epoch from clock_timestamp()))::float8 as now',
    );
    return Number(row?.now);
  };
  /** What `work` did, and a check that a time in seconds lies within it, by the database's clock. */
  async function during<T>(at: Service, work: () => Promise<T>) {
    const from = await databaseSeconds(at);
    const result = await work();
    const until = await databaseSeconds(at);
    const isWithin = (seconds: number) => {
      assert.ok(seconds >= from - 1 && seconds <= until + 1, `${seconds} of ${from} to ${until}`);
    };
    return { result, isWithin };
  }

  const exchanged = async (at: Service, { accessToken }: Person) => {
    const { secret } = await newKey(at, { accessToken });
    const keys = at.client(ApiKeyService, 'grpc');
    return keys.exchangeApiKey({ secret, audience: 'https://shop.test' });
  };

  for (const [i, ms] of OFFSETS.entries()) {
    it(`S15 take the tokens of one that is off by ${ms} ms at once`, async () => {
      const at = replicas[i] as Service;
      const { result: who, isWithin } = await during(at, () => person(at));
      isWithin(Number(claimsOf(who.accessToken)['iat']));
      isWithin(Number(claimsOf(who.accessToken)['auth_time']));
      assert.deepEqual(await active(who.accessToken), [true, true, true]);
      const other = await during(at, () => exchanged(at, who));
      other.isWithin(Number(claimsOf(other.result.accessToken)['iat']));
      assert.deepEqual(await active(other.result.accessToken), [true, true, true]);
    });

    it(`S15 record what one does that is off by ${ms} ms at the time when it does`, async () => {
      const at = replicas[i] as Service;
      const { result: who, isWithin } = await during(at, () => person(at));
      const [row] = await sql<{ session: number; event: number }>(
        at.databaseUrl,
        `select extract(epoch from s.created_at)::float8 as session,
           extract(epoch from e.occurred_at)::float8 as event
         from sessions s join audit_events e on e.subject = s.account_id
         where s.id = $1 and e.type = 'session.created'`,
        [who.sessionId],
      );
      isWithin(Number(row?.session));
      isWithin(Number(row?.event));
    });

    it(`A03 S15 keep the overlap of a rotation by one that is off by ${ms} ms`, async () => {
      const at = replicas[i] as Service;
      const who = await person(at);
      const { id: apiKeyId, secret } = await newKey(at, who);
      const { result, isWithin } = await during(at, () =>
        keysOf(at, who).rotateApiKey({ apiKeyId, overlap: { seconds: 60n } }),
      );
      isWithin(Number(result.apiKey?.previousSecretExpiresAt?.seconds) - 60);
      for (const each of replicas) assert.equal((await verify(each, secret)).valid, true);
    });
  }
});
