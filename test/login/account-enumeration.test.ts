import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { createAccount, newEmail, PASSWORD } from '../harness/people.ts';
import { TIMING_PAIRS } from '../harness/scale.ts';
import { type Service, startService } from '../harness/service.ts';
import { burst, distinguishability, type Measured, single } from './timing.ts';

const QUIET = 'durations need a quiet machine: npm run timing';
const AT_ONCE = 8;
const BURST = 20;
/** Pairs of calls, of bursts of calls, and of bursts of sign-ins, which take two seconds each. */
const CALLS = { pairs: TIMING_PAIRS, atOnce: AT_ONCE };
const BURSTS = { pairs: Math.ceil(TIMING_PAIRS / 2) || 40, atOnce: 2 };
const SIGN_INS = { pairs: Math.ceil(TIMING_PAIRS / 2), atOnce: AT_ONCE };
const WRONG = `${PASSWORD}?`;
/** NFKC makes two letters of the ligature. */
const LIGATURE = `${PASSWORD}\ufb01`;
const UNLOCK = 'delete from sign_in_locks where account_id = any($1)';
/** Of `PASSWORD!`, by bcrypt at cost 10: not the password that is given. */
const BCRYPT = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';

describe('Whether an account exists', () => {
  let service: Service;
  // Several of each, since calls for one account wait for each other.
  const people: Record<string, string[]> = {};

  before(async () => {
    service = await startService({
      // What operators have: the hashes of other systems are to be slower or quicker than these.
      env: { COUNTERSIGN_ARGON2_MEMORY_KIB: '19456', COUNTERSIGN_ARGON2_TIME_COST: '2' },
    });
    for (const kind of ['verified', 'locked', 'suspended', 'federated', 'legacy']) {
      people[kind] = [];
      for (let i = 0; i < AT_ONCE; i += 1) people[kind].push(await createAccount(service));
    }
    people['unverified'] = Array.from({ length: AT_ONCE }, newEmail);
    for (const email of people['unverified']) await signUp(email);
    await errandsRun(service);
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

  const resend = (email: string) => service.auth.resendVerification({ email });
  const reset = (email: string) => service.auth.requestPasswordReset({ email });

  let turn = 0;
  const next = (kind: string) => people[kind]?.[turn++ % AT_ONCE] ?? '';

  /** A wrong password for one of them, of whom only the locked ones are locked. */
  function wrongPassword(kind: string, password = WRONG, calls = 1): Measured {
    let email = '';
    return {
      prepare: async () => {
        email = next(kind);
        if (kind !== 'locked') await change(kind, UNLOCK);
      },
      measure: burst(calls, () => service.auth.login({ email, password })),
    };
  }

  function wrongForNobody(password = WRONG, calls = 1): Measured {
    let email = '';
    return {
      prepare: async () => {
        email = newEmail();
      },
      measure: burst(calls, () => service.auth.login({ email, password })),
    };
  }

  async function assertHidden(one: Measured, other: Measured, scale = CALLS): Promise<void> {
    const chance = await distinguishability(one, other, scale);
    process.stderr.write(`AUC ${chance.toFixed(3)}\n`);
    const isMany = scale.pairs >= 1000;
    // The promise is measured with thousands; fewer tell the same more coarsely.
    const tolerance = isMany ? 0.05 : 0.25;
    assert.ok(Math.abs(chance - 0.5) <= tolerance, `told apart with the chance ${chance}`);
  }

  /** Calls at once for one address each: of nobody, and of somebody who may be sent mail again. */
  async function assertBurstsHidden(
    kind: string,
    call: (email: string) => Promise<unknown>,
    scale = BURSTS,
  ): Promise<void> {
    const measured = (choose: () => string): Measured => {
      let email = '';
      return {
        prepare: async () => {
          email = choose();
          await sql(service.databaseUrl, 'delete from mail_budgets');
        },
        measure: burst(BURST, () => call(email)),
      };
    };
    await assertHidden(
      measured(newEmail),
      measured(() => next(kind)),
      scale,
    );
  }

  const calls = { skip: TIMING_PAIRS === 0 && QUIET };

  it('C04 is not revealed by the time of a sign-up', calls, () =>
    assertHidden(
      { measure: single(() => signUp(newEmail())) },
      { measure: single(() => signUp(next('verified'))) },
    ),
  );

  it('C04 is not revealed by the time of asking for another mail', calls, () =>
    assertHidden(
      { measure: single(() => resend(newEmail())) },
      { measure: single(() => resend(next('unverified'))) },
    ),
  );

  for (const kind of ['verified', 'locked', 'suspended', 'federated']) {
    it(`C04 is not revealed by the time of asking for a new password: ${kind}`, calls, () =>
      assertHidden(
        { measure: single(() => reset(newEmail())) },
        { measure: single(() => reset(next(kind))) },
      ),
    );
  }

  for (const kind of ['verified', 'unverified', 'locked', 'suspended', 'federated', 'legacy']) {
    it(`C04 is not revealed by the time of a failed sign-in: ${kind}`, calls, () =>
      assertHidden(wrongForNobody(), wrongPassword(kind)),
    );
  }

  for (const kind of ['verified', 'legacy']) {
    it(`C04 is not revealed by a failed sign-in with what NFKC changes: ${kind}`, calls, () =>
      assertHidden(wrongForNobody(LIGATURE), wrongPassword(kind, LIGATURE)),
    );
  }

  it('C04 is not revealed by asking for another mail, twenty times at once', () =>
    assertBurstsHidden('unverified', resend));

  it('C04 is not revealed by asking for a new password, twenty times at once', () =>
    assertBurstsHidden('verified', reset));

  it('C04 is not revealed by signing up, twenty times at once', calls, () =>
    // One burst fills the lane that judges passwords.
    assertBurstsHidden('verified', signUp, { ...BURSTS, atOnce: 1 }),
  );

  for (const kind of ['verified', 'locked', 'legacy']) {
    it(`C04 is not revealed by failed sign-ins, eight at once: ${kind}`, calls, () =>
      assertHidden(wrongForNobody(WRONG, 8), wrongPassword(kind, WRONG, 8), SIGN_INS),
    );
  }
});
