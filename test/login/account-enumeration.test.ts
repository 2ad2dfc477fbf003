import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { createAccount, newEmail, PASSWORD } from '../harness/people.ts';
import { TIMING_PAIRS } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';

/** The promise is measured with 2,000 pairs; fewer tell the same more coarsely. */
const TOLERANCE = TIMING_PAIRS >= 2000 ? 0.05 : 0.25;
const skip = TIMING_PAIRS === 0 && 'durations need a quiet machine: npm run timing';
const AT_ONCE = 8;
/** Of `PASSWORD!`, by bcrypt at cost 10: not the password that is given. */
const BCRYPT = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';

type Call = { prepare?: () => Promise<unknown>; call: () => Promise<unknown> };

async function duration({ prepare, call }: Call): Promise<number> {
  await prepare?.();
  const from = performance.now();
  await call().catch(() => {});
  return performance.now() - from;
}

/** The chance that a call of one kind takes longer than one of the other: 0.5 tells nothing. */
async function distinguishability(one: Call, other: Call): Promise<number> {
  const [ones, others]: [number[], number[]] = [[], []];
  const measure = async () => {
    while (ones.length + others.length < 2 * TIMING_PAIRS) {
      // In random order, so that neither kind always follows the other.
      const first = Math.random() < 0.5;
      (first ? ones : others).push(await duration(first ? one : other));
      (first ? others : ones).push(await duration(first ? other : one));
    }
  };
  for (let i = 0; i < 5; i += 1) await Promise.all([duration(one), duration(other)]);
  await Promise.all(Array.from({ length: AT_ONCE }, measure));
  let longer = 0;
  for (const a of ones) for (const b of others) longer += a > b ? 1 : a === b ? 0.5 : 0;
  return longer / (ones.length * others.length);
}

describe('Whether an account exists', { skip }, () => {
  let service: Service;
  // Several of each, since calls for one account wait for each other.
  const people: Record<string, string[]> = {};

  before(async () => {
    service = await startService({
      // The default cost: hashes of other systems must be slower or faster than these.
      env: { COUNTERSIGN_ARGON2_MEMORY_KIB: '19456', COUNTERSIGN_ARGON2_TIME_COST: '2' },
    });
    for (const kind of ['verified', 'locked', 'suspended', 'federated', 'legacy']) {
      people[kind] = [];
      for (let i = 0; i < AT_ONCE; i += 1) people[kind].push(await createAccount(service));
    }
    people['unverified'] = Array.from({ length: AT_ONCE }, newEmail);
    for (const email of people['unverified']) await signUp(email);
    await change('suspended', `update accounts set state = 'suspended' where id = any($1)`);
    await change('federated', 'delete from password_credentials where account_id = any($1)');
    await change(
      'legacy',
      `update password_credentials set password_hash = '${BCRYPT}' where account_id = any($1)`,
    );
    await change(
      'locked',
      `insert into sign_in_locks (account_id, factor, failures, locked_until)
       select unnest($1::uuid[]), 'password', 10, '9999-12-31'`,
    );
  });

  async function change(kind: string, statement: string): Promise<void> {
    const rows = await sql<{ id: string }>(
      service.databaseUrl,
      'select id from accounts where email = any($1)',
      [people[kind]],
    );
    await sql(service.databaseUrl, statement, [rows.map(({ id }) => id)]);
  }

  const signUp = (email: string) =>
    service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });

  let turn = 0;
  const next = (kind: string) => people[kind]?.[turn++ % AT_ONCE] ?? '';

  /** A wrong password for one of them; only the locked ones are locked. */
  function wrongPassword(kind: string): Call {
    let email = '';
    return {
      prepare: async () => {
        email = next(kind);
        if (kind !== 'locked')
          await change(kind, 'delete from sign_in_locks where account_id = any($1)');
      },
      call: () => service.auth.login({ email, password: `${PASSWORD}?` }),
    };
  }

  async function assertHidden(one: Call, other: Call): Promise<void> {
    const chance = await distinguishability(one, other);
    process.stderr.write(`AUC ${chance.toFixed(3)}\n`);
    assert.ok(Math.abs(chance - 0.5) <= TOLERANCE, `told apart with the chance ${chance}`);
  }

  it('C04 is not revealed by the time of a sign-up', () =>
    assertHidden({ call: () => signUp(newEmail()) }, { call: () => signUp(next('verified')) }));

  it('C04 is not revealed by the time of asking for another mail', () =>
    assertHidden(
      { call: () => service.auth.resendVerification({ email: newEmail() }) },
      { call: () => service.auth.resendVerification({ email: next('unverified') }) },
    ));

  for (const kind of ['verified', 'locked', 'suspended', 'federated']) {
    it(`C04 is not revealed by the time of asking for a new password: ${kind}`, () =>
      assertHidden(
        { call: () => service.auth.requestPasswordReset({ email: newEmail() }) },
        { call: () => service.auth.requestPasswordReset({ email: next(kind) }) },
      ));
  }

  for (const kind of ['verified', 'unverified', 'locked', 'suspended', 'federated', 'legacy']) {
    it(`C04 is not revealed by the time of a failed sign-in: ${kind}`, () =>
      assertHidden(
        { call: () => service.auth.login({ email: newEmail(), password: `${PASSWORD}?` }) },
        wrongPassword(kind),
      ));
  }
});
