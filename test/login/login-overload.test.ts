import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { clients } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { createAccount, newEmail, PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { type Refusal, refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

/** The cost of a hash in production: see COUNTERSIGN_ARGON2_MEMORY_KIB. */
const FULL_COST = { COUNTERSIGN_ARGON2_MEMORY_KIB: '19456', COUNTERSIGN_ARGON2_TIME_COST: '2' };
/** Of cost 13: half a second and more. */
const SLOW = '$2b$13$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';
/** More than twice what may wait. Callers and service share this process, hence no more. */
const SIGN_INS = 300;

describe('Login, many at once', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: { ...PATIENT, ...FULL_COST } });
  });

  /** Signs in by several connections, since one carries no more than 200 calls at once. */
  function flood(count: number): Promise<Refusal>[] {
    const connections = Array.from({ length: 5 }, () => clients(service.app).client(AuthService));
    return Array.from({ length: count }, (_, i) => {
      const auth = connections[i % connections.length] ?? service.auth;
      return refusal(auth.login({ email: newEmail(), password: PASSWORD, deviceLabel: '' }));
    });
  }

  it('C12 serves some, refuses the rest before any work, and keeps checking tokens', async () => {
    const { accessToken, refreshToken } = await signedIn(service);
    // A service that has been busy before: its connections are open.
    await Promise.all(flood(20));
    const answers = Promise.all(flood(SIGN_INS));
    const done = answers.then(() => true);
    const waits: number[] = [];
    let latest = refreshToken;
    while (!(await Promise.race([done, new Promise((go) => setTimeout(go, 20, false))]))) {
      const from = performance.now();
      const { active } = await service.sessions.introspectToken({ token: accessToken });
      assert.equal(active, true);
      waits.push(performance.now() - from);
      latest =
        (await service.auth.refreshToken({ refreshToken: latest })).tokens?.refreshToken ?? '';
    }
    const outcomes = Map.groupBy(await answers, ({ reason }) => reason);
    assert.deepEqual([...outcomes.keys()].sort(), ['INVALID_CREDENTIALS', 'OVERLOADED']);
    for (const shed of outcomes.get('OVERLOADED') ?? []) {
      assert.equal(shed.code, Code.ResourceExhausted);
      assert.ok((shed.retryAfterMs ?? 0) > 0);
    }
    const median = waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)] ?? Infinity;
    assert.ok(waits.length > 10 && median < 500, `${waits.length} checks, median ${median} ms`);
  });

  it('C17 checks one password at a time for an account, and for an address without one', async () => {
    const some = async (email: string) => {
      const auth = clients(service.app).client(AuthService);
      const calls = Array.from({ length: 60 }, () => {
        return refusal(auth.login({ email, password: `${PASSWORD}?`, deviceLabel: '' }));
      });
      const reasons = (await Promise.all(calls)).map(({ reason }) => reason);
      return [...Map.groupBy(reasons, (reason) => reason)].map(([reason, { length }]) => [
        reason,
        length,
      ]);
    };
    const [known, unknown] = await Promise.all([
      some(await createAccount(service)),
      some(newEmail()),
    ]);
    // One is checked and forty wait; the others are refused at once.
    const expected = [
      ['OVERLOADED', 19],
      ['INVALID_CREDENTIALS', 41],
    ];
    assert.deepEqual(known?.sort(), expected.sort());
    assert.deepEqual(unknown?.sort(), expected.sort());
  });

  it('C17 lets others sign in while someone guesses at one account’s slow hash', async () => {
    const [guessed, other] = [await createAccount(service), await createAccount(service)];
    await sql(
      service.databaseUrl,
      `update password_credentials set password_hash = $2
       where account_id = (select id from accounts where email = $1)`,
      [guessed, SLOW],
    );
    let refused = 0;
    const guesses = Array.from({ length: 3 }, async () => {
      const { reason } = await refusal(signIn(service, guessed));
      assert.equal(reason, 'INVALID_CREDENTIALS');
      refused += 1;
    });
    await signIn(service, other);
    assert.ok(refused <= 1, `the sign-in waited for ${refused} guesses`);
    await Promise.all(guesses);
  });

  it('serves sign-ins again right after', async () => {
    await signIn(service, await createAccount(service));
  });

  it('stops hashing for callers who have gone', async () => {
    const email = await createAccount(service);
    const connections = Array.from({ length: 2 }, () => clients(service.app).client(AuthService));
    const gone = Array.from({ length: 200 }, (_, i) =>
      connections[i % 2]?.login(
        { email: newEmail(), password: PASSWORD, deviceLabel: '' },
        { signal: AbortSignal.timeout(300) },
      ),
    );
    await Promise.allSettled(gone);
    const from = performance.now();
    await signIn(service, email);
    // 200 hashes would take 3.5 s on two cores, and 7 s on one.
    assert.ok(performance.now() - from < 2500, 'the sign-in waited for what nobody wants any more');
  });
});
