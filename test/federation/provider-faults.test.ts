import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { eventually } from '../harness/eventually.ts';
import { logLines } from '../harness/logs.ts';
import { createAccount, newEmail, signIn } from '../harness/people.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { FAULTS, FakeProvider, type Grant } from './fake-provider.ts';
import { REDIRECT } from './peer.ts';
import { addProviders } from './people.ts';

/** What callers are promised. Service and test share one clock and one event loop. */
const WITHIN_MS = 5500;

let service: Service;
let email: string;
const known: Record<string, unknown>[] = [];

before(async () => {
  service = await startService();
  email = await createAccount(service);
});

/** A provider of its own, so that its breaker is closed. */
async function provider(userInfo?: Record<string, unknown>) {
  const fake = await FakeProvider.start();
  fake.userInfo = userInfo;
  const id = `p${known.length}`;
  known.push(fake.settings({ id }));
  addProviders(service, known);
  const start = () => service.auth.startFederatedLogin({ provider: id, redirectUri: REDIRECT });
  const finish = async (grant: Grant) => {
    const { authorizationUrl, loginToken } = await start();
    const answer = { loginToken, ...fake.visit(authorizationUrl, grant) };
    return service.auth.finishFederatedLogin(answer);
  };
  return { fake, start, finish, id };
}

const person = (): Grant => ({
  claims: { sub: newEmail(), email: newEmail(), email_verified: true },
});

async function inTime(call: Promise<unknown>): Promise<Refusal> {
  const timer = new AbortController();
  const late = sleep(WITHIN_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error('too late');
  });
  try {
    return await Promise.race([refusal(call), late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

async function assertUnavailable(call: Promise<unknown>, name: string): Promise<void> {
  const { code, reason, retryAfterMs } = await inTime(call);
  assert.deepEqual([code, reason], [Code.Unavailable, 'DEPENDENCY_UNAVAILABLE'], name);
  assert.ok(retryAfterMs, name);
}

describe('A provider that fails', () => {
  it('W13 is unavailable within bounds, whatever is wrong with its discovery document', async () => {
    const calls = FAULTS.map(async (fault) => {
      const { fake, start } = await provider();
      fake.faults.discovery = fault;
      await assertUnavailable(start(), fault);
      assert.ok(fake.sentBytes < 16_000_000, 'read on');
      assert.equal(fake.requests.elsewhere, 0);
      // Other sign-ins go on, and so does this one as soon as the provider does.
      await signIn(service, email);
      delete fake.faults.discovery;
      await start();
    });
    const gone = provider().then(async ({ fake, start }) => {
      await fake.stop();
      await assertUnavailable(start(), 'refused');
    });
    await Promise.all([...calls, gone]);
  });

  it('W13 is unavailable within bounds, whatever is wrong with its answer to a code', async () => {
    const calls = FAULTS.map(async (fault) => {
      const { fake, start, finish } = await provider();
      await start();
      fake.faults.token = fault;
      await assertUnavailable(finish(person()), fault);
      assert.equal(fake.requests.token, 1, 'the token request was repeated');
      assert.ok(fake.sentBytes < 16_000_000, 'read on');
      assert.equal(fake.requests.elsewhere, 0);
    });
    await Promise.all(calls);
  });

  it('W13 is unavailable within bounds, whatever is wrong with its keys or userinfo', async () => {
    const cases = FAULTS.flatMap((fault) => [
      ['keys', fault] as const,
      ['userinfo', fault] as const,
    ]);
    const calls = cases.map(async ([endpoint, fault]) => {
      const { fake, finish } = await provider({ sub: 'x' });
      fake.faults[endpoint] = fault;
      await assertUnavailable(finish({ claims: { sub: 'x' } }), `${endpoint}: ${fault}`);
      assert.equal(fake.requests.token, 1);
    });
    await Promise.all(calls);
  });

  it('W13 is asked no more after five faults', async () => {
    const { fake, start, id } = await provider();
    fake.faults.discovery = '500';
    const lines = await logLines(async () => {
      for (let i = 0; i < 8; i += 1) await assertUnavailable(start(), String(i));
    });
    assert.equal(fake.requests.discovery, 5);
    const said = lines.filter(({ component }) => component === 'breaker');
    assert.deepEqual(
      said.map(({ dependency }) => dependency),
      [`provider:${id}`],
    );
  });

  it('W13 has its discovery document renewed after an hour, and nobody waits for that', async () => {
    const { fake, start } = await provider();
    const asked = (times: number) => eventually(async () => fake.requests.discovery === times);
    await start();
    service.clock.advance(3599_000);
    await start();
    assert.equal(fake.requests.discovery, 1);
    fake.faults.discovery = 'hang';
    service.clock.advance(1000);
    await start();
    await asked(2);
    await start();
    assert.equal(fake.requests.discovery, 2);
  });

  it('W13 is used by an old discovery document while there is no new one', async () => {
    const { fake, start, finish } = await provider();
    await start();
    fake.faults.discovery = '500';
    for (let hour = 1; hour <= 3; hour += 1) {
      service.clock.advance(3600_000);
      for (let i = 0; i < 8; i += 1) await start();
      await eventually(async () => fake.requests.discovery === 1 + hour);
    }
    // Those who only begin do not have the provider given up.
    assert.equal((await finish(person())).outcome.case, 'tokens');
    delete fake.faults.discovery;
    service.clock.advance(60_000);
    await start();
    await eventually(async () => fake.requests.discovery === 5);
  });

  it('W13 is asked once for everybody who waits', async () => {
    const { fake, start } = await provider();
    await Promise.all(Array.from({ length: 20 }, start));
    assert.equal(fake.requests.discovery, 1);
  });

  it('W13 is not given up for made-up codes or callers who leave', async () => {
    const { fake, start, finish } = await provider();
    for (let i = 0; i < 8; i += 1) {
      const { authorizationUrl, loginToken } = await start();
      const answer = { ...fake.visit(authorizationUrl, person()), loginToken, code: 'made up' };
      const { reason } = await refusal(service.auth.finishFederatedLogin(answer));
      assert.equal(reason, 'FEDERATED_LOGIN_REFUSED');
    }
    fake.faults.token = 'hang';
    for (let i = 0; i < 8; i += 1) {
      const { authorizationUrl, loginToken } = await start();
      const answer = { ...fake.visit(authorizationUrl, person()), loginToken };
      const options = { timeoutMs: 100 };
      const { code } = await refusal(service.auth.finishFederatedLogin(answer, options));
      assert.equal(code, Code.DeadlineExceeded);
    }
    delete fake.faults.token;
    assert.equal((await finish(person())).outcome.case, 'tokens');
  });

  it('W13 is not given up for one person of whom it says too much', async () => {
    const { finish } = await provider();
    const groups = { groups: Array(5000).fill('a group of the directory') };
    const talkedAbout = { claims: { sub: 'many', ...groups } };
    for (let i = 0; i < 6; i += 1) await assertUnavailable(finish(talkedAbout), String(i));
    const { outcome } = await finish(person());
    assert.equal(outcome.case, 'tokens');
  });

  it('is not called unavailable because a caller says that it has refused', async () => {
    const { start } = await provider();
    for (const error of ['invalid_client', 'invalid_scope', 'made_up', 'server_error']) {
      const { authorizationUrl, loginToken } = await start();
      const state = new URL(authorizationUrl).searchParams.get('state') ?? '';
      const lines = await logLines(async () => {
        const call = service.auth.finishFederatedLogin({ loginToken, state, error });
        const { reason } = await refusal(call);
        const isTemporary = error === 'server_error';
        assert.equal(reason, isTemporary ? 'DEPENDENCY_UNAVAILABLE' : 'FEDERATED_LOGIN_REFUSED');
      });
      const told = lines.filter(({ component }) => component === 'federation');
      assert.deepEqual(
        told.map(({ level, reason }) => [level, reason]),
        [['info', error === 'made_up' ? undefined : error]],
      );
    }
  });

  it('is unavailable if it does not accept us', async () => {
    const { fake, finish } = await provider();
    fake.tokenError = 'invalid_client';
    await assertUnavailable(finish(person()), 'invalid_client');
  });

  it('is unavailable if a proxy in front of it refuses', async () => {
    const { fake, start, finish } = await provider();
    await start();
    fake.faults.token = '404';
    await assertUnavailable(finish(person()), '404');
  });

  it('F01 is unavailable if its discovery document is that of another issuer', async () => {
    const { fake, start } = await provider();
    fake.issuer = `${fake.issuer}/`;
    await assertUnavailable(start(), 'another issuer');
  });
});
